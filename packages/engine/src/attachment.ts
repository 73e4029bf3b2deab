import type { MonitorConnection } from '@tsc/runtime';
import { parseSignal } from '@tsc/runtime';

import type { Attachment } from './api.ts';

export interface AttachmentParts {
  readonly connection: MonitorConnection;
  readonly hostPid: number;
  readonly tty: boolean;
  readonly openStdin: boolean;
  /** When it is really over, cleaning included. */
  readonly exitCode: Promise<number>;
}

/** A monitor's connection as a user of the engine sees it. */
export function attachmentOf({ connection, hostPid, tty, openStdin, exitCode }: AttachmentParts): Attachment {
  if (tty) connection.stderr.resume();
  exitCode.catch(() => undefined);
  return {
    hostPid,
    stdin: openStdin ? connection.stdin : undefined,
    stdout: connection.stdout,
    stderr: tty ? undefined : connection.stderr,
    exitCode,
    resize: (size) => {
      connection.resize(size);
    },
    kill: (signalName) => {
      connection.signal(parseSignal(signalName));
    },
    detach: () => {
      connection.close();
    },
  };
}
