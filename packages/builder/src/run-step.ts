import type { Image, Layer } from '@tsc/image';
import type { MountFiles } from './mount-files.ts';
import type { RunInstruction, RunMount } from './ast.ts';

/**
 * How RUN is carried out. The builder can't start containers: whoever can, an engine, passes this in.
 *
 * It runs `argv` as the first process of a container whose root is `image`, waits for its end, and hands over what it changed.
 * The last event is `finished`. It obeys `network`, `security`, `mounts` and `devices` or throws: an option that is not
 * honoured would be a hole. What it has made besides the layer is gone when the iteration ends, however it ends.
 */
export interface RunStep {
  (request: RunRequest, options: { readonly signal: AbortSignal | undefined }): AsyncIterable<RunEvent>;
  /** Why a RUN can't be carried out as it is written, or `undefined`. Asked of each before the build begins. */
  readonly refuse?: ((instruction: RunInstruction) => string | undefined) | undefined;
}

export interface RunRequest {
  readonly image: Image;
  /** An image of the store with the layers of `image` and no settings at all: those that matter are in the request. */
  readonly imageId: string;
  readonly argv: readonly string[];
  /** `NAME=value`: the image's, then the ARGs in scope. Nothing of the caller's. */
  readonly env: readonly string[];
  readonly workingDir: string;
  /** As USER says it; `''` is root. */
  readonly user: string;
  readonly network: 'default' | 'none' | 'host';
  readonly security: 'sandbox' | 'insecure';
  readonly mounts: readonly RunRequestMount[];
  readonly devices: readonly string[];
}

export interface RunRequestMount extends RunMount {
  /** For `bind`: the files at `source=`, of the image or stage that `from=` names or of the context. */
  readonly open: ((signal: AbortSignal | undefined) => Promise<MountFiles>) | undefined;
}

export type RunEvent =
  | { readonly type: 'output'; readonly stream: 'stdout' | 'stderr'; readonly bytes: Uint8Array }
  | {
      readonly type: 'finished';
      readonly exitCode: number;
      /** What changed, as a layer that can be read until the iteration ends; undefined when nothing did. */
      readonly layer: Layer | undefined;
    };
