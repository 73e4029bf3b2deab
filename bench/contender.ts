/** One way to start a container. */
export interface Contender {
  readonly name: string;
  /** What is timed: starts `/bin/true`, and waits until its user would say that it is over. */
  start(): Promise<void>;
  /** Waits, untimed, for what `start` left to be done later, so that it isn't done in another's time. */
  settle?(): Promise<void>;
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
