// swc writes `using` in terms of a name that it spells differently where it defines it, and Jest prints only an error's
// message. With this, a failing test shows both the first error and the one that came while it was cleaned up after.
globalThis._SuppressedError = class extends SuppressedError {
  constructor(error, suppressed) {
    super(
      error,
      suppressed,
      `${suppressed?.stack ?? suppressed}\nand then, while cleaning up: ${error?.stack ?? error}`,
    );
  }
};
