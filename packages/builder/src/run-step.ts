import type { Image, Layer } from '@tsc/image';
import type { RunMount } from './ast.ts';

/**
 * How RUN is carried out. The builder can't start containers: whoever can, an engine, passes this in.
 *
 * It runs `argv` as the first process of a container whose root is `image`, waits for its end, and hands over what it changed.
 * The last event is `finished`. It obeys `network`, `security`, `mounts` and `devices` or throws: an option that is not
 * honoured would be a hole. What it has made besides the layer is gone when the iteration ends, however it ends.
 */
export type RunStep = (
  request: RunRequest,
  options: { readonly signal: AbortSignal | undefined },
) => AsyncIterable<RunEvent>;

export interface RunRequest {
  /** Stored, so that its layers are unpacked. */
  readonly image: Image;
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
  /** The image that `from=` names, stored; undefined: the build context, for `bind`. */
  readonly fromImage: Image | undefined;
  readonly contextDir: string | undefined;
}

export type RunEvent =
  | { readonly type: 'output'; readonly stream: 'stdout' | 'stderr'; readonly bytes: Uint8Array }
  | {
      readonly type: 'finished';
      readonly exitCode: number;
      /** What changed, as a layer; undefined when nothing did. */
      readonly layer: Layer | undefined;
    };
