/** What goes over a connection to a monitor: a 32-bit word `type << 24 | length`, then the bytes. */
export const frameTypes = {
  stdin: 1,
  stdinEof: 2,
  resize: 3,
  signal: 4,
  attach: 5,
  cleaned: 6,
  started: 16,
  failed: 17,
  stdout: 18,
  stderr: 19,
  exit: 20,
} as const;

export type MonitorFrame =
  | { readonly type: 'started'; readonly hostPid: number }
  /** Operation number `index` of the start program failed with `errno`. */
  | { readonly type: 'failed'; readonly index: number; readonly errno: number }
  | { readonly type: 'stdout' | 'stderr'; readonly data: Buffer }
  /** `exitCode` is the process's own, or 128 and the signal that ended it. */
  | { readonly type: 'exit'; readonly exitCode: number; readonly signal: number | undefined };

/** The monitor takes no longer frame. */
export const FRAME_MAX_BYTES: number = 32 * 1024;

export function encodeFrame(type: keyof typeof frameTypes, data: Uint8Array = new Uint8Array(0)): Buffer {
  const frame = Buffer.alloc(4 + data.length);
  frame.writeUInt32LE(((frameTypes[type] << 24) | data.length) >>> 0, 0);
  frame.set(data, 4);
  return frame;
}

export function encodeResize(size: { readonly rows: number; readonly columns: number }): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt16LE(size.rows, 0);
  data.writeUInt16LE(size.columns, 2);
  return encodeFrame('resize', data);
}

export function encodeSignal(signalNumber: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32LE(signalNumber, 0);
  return encodeFrame('signal', data);
}

const CLD_EXITED = 1;

function decodeFrame(type: number, data: Buffer): MonitorFrame {
  switch (type) {
    case frameTypes.started:
      return { type: 'started', hostPid: data.readUInt32LE(0) };
    case frameTypes.failed:
      return { type: 'failed', index: data.readUInt32LE(0), errno: data.readInt32LE(4) };
    case frameTypes.stdout:
      return { type: 'stdout', data };
    case frameTypes.stderr:
      return { type: 'stderr', data };
    case frameTypes.exit: {
      const status = data.readUInt32LE(4);
      if (data.readUInt32LE(0) === CLD_EXITED) return { type: 'exit', exitCode: status, signal: undefined };
      return { type: 'exit', exitCode: 128 + status, signal: status };
    }
    default:
      throw new Error(`the monitor sent a frame of unknown type ${type}`);
  }
}

/** Cuts a stream of bytes into frames: give it each piece as it comes. */
export class FrameDecoder {
  #rest: Buffer = Buffer.alloc(0);

  decode(piece: Buffer): MonitorFrame[] {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    const frames: MonitorFrame[] = [];
    let at = 0;
    while (bytes.length - at >= 4) {
      const word = bytes.readUInt32LE(at);
      const end = at + 4 + (word & 0xffffff);
      if (end > bytes.length) break;
      frames.push(decodeFrame(word >>> 24, bytes.subarray(at + 4, end)));
      at = end;
    }
    this.#rest = bytes.subarray(at);
    return frames;
  }
}
