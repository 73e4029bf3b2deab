/** What this package uses of the system calls that Node lacks; it does without where there are none. */
export type System = Pick<
  typeof import('@tsc/sys'),
  'F_DUPFD_CLOEXEC' | 'fcntl' | 'readCached' | 'sendFileInThread' | 'SHUT_RDWR' | 'shutdown'
>;

let loaded: System | undefined;
let loading: Promise<void> | undefined;

async function load(): Promise<void> {
  try {
    const system = await import('@tsc/sys');
    // The native part is loaded by the first call: not on other systems, and not where nobody compiled it.
    system.readCached('/', 0);
    loaded = system;
  } catch {
    loaded = undefined;
  }
}

/** Loads the system calls, once; afterwards {@link systemCalls} has them, where there are any. */
export const loadSystemCalls = (): Promise<void> => (loading ??= load());

/** The system calls; undefined before they are loaded, on other systems than Linux, and without the native part. */
export const systemCalls = (): System | undefined => loaded;
