import type { Command, Surroundings } from '../command.ts';
import { withEngine } from '../command.ts';
import { badValue } from '../errors.ts';
import { toggle, value } from '../flags/flag.ts';
import { printLine } from '../output.ts';
import { openCidFile } from '../request/cid-file.ts';
import { defineContainerCommand } from '../request/container.ts';
import type { ContainerRequest } from '../request/container.ts';
import { withImage } from '../request/missing-image.ts';
import { publishExposed } from '../request/publish-all.ts';
import { rethrowWithExitCode } from '../request/start-failure.ts';
import { parseDetachKeys } from '../terminal/detach-keys.ts';
import { holdSession, requireTerminal, windowSize } from '../terminal/session.ts';
import type { SessionOptions } from '../terminal/session.ts';
import { abortOnSignal } from '../terminal/signals.ts';

const DEFAULT_KEYS = 'ctrl-p,ctrl-q';

export const command: Command = defineContainerCommand({
  summary: 'Create and run a new container from an image',
  aliases: ['tsc container run', 'tsc run'],
  flags: {
    detach: toggle('Run container in background and print container ID', { short: 'd' }),
    'detach-keys': value('Override the key sequence for detaching a container', parseDetachKeys),
    'sig-proxy': toggle('Proxy received signals to the process', { initial: true }),
  },
  async run(request, { values, surroundings }) {
    if (values.detach && request.attach.length > 0) {
      throw badValue('conflicting options: cannot specify both --attach and --detach');
    }
    if (values.detach) return run(request, surroundings, undefined);
    const session = sessionFor(request, {
      detachKeys: values['detach-keys'] ?? parseDetachKeys(DEFAULT_KEYS),
      forwardSignals: values['sig-proxy'],
    });
    requireTerminal(session);
    return run(request, surroundings, session);
  },
});

function sessionFor(
  { spec, attach }: ContainerRequest,
  rest: Pick<SessionOptions, 'detachKeys' | 'forwardSignals'>,
): SessionOptions {
  const chosen = (stream: 'stdout' | 'stderr'): boolean => attach.length === 0 || attach.includes(stream);
  return {
    tty: spec.tty === true,
    stdin: spec.openStdin === true && (attach.length === 0 || attach.includes('stdin')),
    stdout: chosen('stdout'),
    stderr: chosen('stderr'),
    ...rest,
  };
}

async function run(
  request: ContainerRequest,
  surroundings: Surroundings,
  session: SessionOptions | undefined,
): Promise<number> {
  return withEngine(surroundings, async (engine) => {
    using cidFile = request.cidFile === undefined ? undefined : openCidFile(request.cidFile);
    using abort = abortOnSignal();
    const start = async (): ReturnType<typeof engine.run> => {
      const spec = await publishExposed(engine, request);
      const options = { signal: abort.signal, attach: session !== undefined, windowSize: windowSize() };
      return engine.run(spec, options);
    };
    const running = await withImage(engine, { ...request.image, signal: abort.signal }, start).catch(
      (error: unknown) => {
        if (abort.exitCode !== undefined) return abort.exitCode;
        return rethrowWithExitCode(error);
      },
    );
    if (typeof running === 'number') return running;
    cidFile?.write(running.container.id);
    abort[Symbol.dispose]();
    if (session === undefined || running.attachment === undefined) {
      printLine(running.container.id);
      return 0;
    }
    const end = await holdSession(running.attachment, session);
    if (end === 'detached') return 0;
    // The engine cleans up after the container before this resolves: after `run --rm` it is gone.
    return await running.wait();
  });
}
