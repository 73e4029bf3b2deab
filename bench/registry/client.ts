import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** All connections read into the same bytes, one after the other: what arrives is counted, and then forgotten. */
const arrived: Uint8Array = Buffer.allocUnsafeSlow(256 * 1024);
const END_OF_HEAD = '\r\n\r\n';

export interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly bodyBytes: number;
}

export interface RequestParts {
  /** Lines, each with its end. */
  readonly headers?: string;
  /** What has one says so, also when it is empty. */
  readonly body?: readonly Uint8Array[];
}

interface Waiting {
  readonly isHead: boolean;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One connection of HTTP/1.1 that is kept, for one request at a time. It does as little as it can for each, as its processor time
 * is taken from the servers that are compared.
 */
export class Client implements Disposable {
  readonly #socket: Socket;
  readonly #host: string;
  #waiting: Waiting | undefined;
  #head = '';
  #answer: Answer | undefined;
  #missingBytes = 0;

  private constructor(port: number) {
    this.#host = `127.0.0.1:${String(port)}`;
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: arrived,
        callback: (bytes) => {
          this.#read(bytes);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => {
      this.#fail(error);
    });
    this.#socket.on('close', () => {
      this.#fail(new Error('the server closed the connection'));
    });
  }

  static async open(port: number): Promise<Client> {
    const client = new Client(port);
    await once(client.#socket, 'connect');
    return client;
  }

  /** @param target - `GET /v2/` */
  request(target: string, { headers = '', body }: RequestParts = {}): Promise<Answer> {
    const lengthBytes = body?.reduce((sum, part) => sum + part.byteLength, 0);
    const length = lengthBytes === undefined ? '' : `Content-Length: ${String(lengthBytes)}\r\n`;
    return new Promise((resolve, reject) => {
      this.#waiting = { isHead: target.startsWith('HEAD '), resolve, reject };
      this.#socket.cork();
      this.#socket.write(`${target} HTTP/1.1\r\nHost: ${this.#host}\r\n${length}${headers}\r\n`, 'latin1');
      for (const part of body ?? []) this.#socket.write(part);
      this.#socket.uncork();
    });
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #read(bytes: number): void {
    if (this.#answer !== undefined) {
      this.#count(bytes);
      return;
    }
    this.#head += Buffer.from(arrived.buffer, 0, bytes).toString('latin1');
    const end = this.#head.indexOf(END_OF_HEAD);
    if (end < 0) return;
    const head = this.#head.slice(0, end);
    const rest = this.#head.length - end - END_OF_HEAD.length;
    this.#head = '';
    const bodyBytes = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    this.#answer = { status: Number(head.slice(9, 12)), location: locationOf(head), bodyBytes };
    this.#missingBytes = this.#waiting?.isHead === true ? 0 : bodyBytes;
    this.#count(rest);
  }

  #count(bytes: number): void {
    this.#missingBytes -= bytes;
    if (this.#missingBytes > 0) return;
    const [waiting, answer] = [this.#waiting, this.#answer];
    this.#waiting = this.#answer = undefined;
    if (waiting === undefined || answer === undefined || this.#missingBytes < 0) {
      this.#socket.destroy(new Error('more than an answer came'));
    } else waiting.resolve(answer);
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

/** Some servers answer with a whole URL; the connection is to the same one. */
function locationOf(head: string): string | undefined {
  const location = /\r\nlocation: *([^\r]*)/i.exec(head)?.[1];
  return location?.replace(/^https?:\/\/[^/]*/, '');
}
