/** What worker.mjs is asked to do. */
export type Task =
  | { readonly task: 'unpack'; readonly layer: string; readonly dir: string }
  | { readonly task: 'pull'; readonly rootDir: string; readonly reference: string }
  | { readonly task: 'push'; readonly rootDir: string; readonly source: string; readonly target: string }
  | { readonly task: 'load'; readonly rootDir: string; readonly archive: string };

/** What it says when that is done. */
export type Answer = { readonly peakBytes: number; readonly loopDelayMs: number } | { readonly failure: string };
