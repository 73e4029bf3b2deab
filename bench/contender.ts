/** One way to start a container: the work that is timed, from the call until the container has ended and is gone. */
export interface Contender {
  readonly name: string;
  /** Starts `/bin/true` and waits until all that was made for it is gone. */
  start(): Promise<void>;
}

/** What was found on this machine, and what was not. Disposing stops what was started for it. */
export interface Contenders extends AsyncDisposable {
  readonly contenders: readonly Contender[];
}

/** Where a bench keeps its files: `dir` on a disk, `runDir` in memory. Both are gone when it ends. */
export interface Place {
  readonly dir: string;
  readonly runDir: string;
  /** The root file system that all contenders start from, as a directory and as an archive. */
  readonly tree: string;
  readonly archive: string;
}
