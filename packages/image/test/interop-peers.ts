import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { digestOf, parseImageConfig, parseManifest, type Digest } from '../src/index.ts';

/** What a program says of an image that it has. */
export interface Seen {
  /** Of the config. */
  readonly id: string;
  readonly diffIds: readonly string[];
  /** Of the manifest, where the program remembers which one it was. */
  readonly manifestDigest: string | undefined;
}

/** A program that keeps images somewhere of its own. */
export interface Peer {
  readonly name: string;
  /** Whether the manifest that it pushes is the one that it pulled, byte for byte. */
  readonly keepsManifest: boolean;
  /** Makes an image of two layers and an environment in its own way, and pushes it. */
  make(reference: string): Promise<void> | void;
  pull(reference: string): Promise<Seen> | Seen;
  /** Pushes what it pulled as `from`. */
  push(from: string, to: string): Promise<void> | void;
}

/**
 * Runs a program where what it mounts and what it remembers of blobs that it has seen goes with it: their caches would
 * make one test's copy depend on another's.
 */
const contained = (command: readonly string[]): readonly string[] => [
  ...['unshare', '--mount', '--propagation', 'private', 'sh', '-ec'],
  'for dir in /dev/shm /etc/docker /var/lib/containers; do mkdir -p $dir; mount -t tmpfs none $dir; done; exec "$@"',
  'sh',
  ...command,
];

export const runContained = (...command: readonly string[]): string => {
  const [program = '', ...args] = contained(command);
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
};

export const skopeo = (...args: readonly string[]): string => runContained('skopeo', '--insecure-policy', ...args);
/** `skopeo copy` that neither verifies certificates nor converts. */
export const skopeoCopy = (...args: readonly string[]): string =>
  skopeo('copy', '-q', '--src-tls-verify=false', '--dest-tls-verify=false', ...args);

/** Writes a directory with a Dockerfile that docker and podman build without running anything. */
const writeContext = (dir: string, maker: string): void => {
  mkdirSync(join(dir, 'tree/etc'), { recursive: true });
  writeFileSync(join(dir, 'tree/etc/maker'), maker);
  writeFileSync(join(dir, 'tree/etc/tool'), Buffer.alloc(200_000, maker), { mode: 0o4755 });
  writeFileSync(
    join(dir, 'Dockerfile'),
    `FROM scratch\nCOPY tree /\nENV MAKER=${maker}\nCOPY tree /again\nCMD ["/sh"]\n`,
  );
};

export interface Docker extends Peer, AsyncDisposable {
  run(...args: readonly string[]): string;
}

const DAEMON_PATIENCE_MS = 30_000;

/** Debian's docker with a daemon of its own, which makes no bridge, no rules, and mounts that end with it. */
export const startDocker = async (dir: string): Promise<Docker> => {
  const program = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker';
  for (const name of ['config', 'context']) mkdirSync(join(dir, name), { recursive: true });
  writeFileSync(join(dir, 'daemon.json'), '{}');
  const socket = `unix://${join(dir, 'docker.sock')}`;
  const [command = '', ...args] = contained([
    ...['dockerd', '--config-file', join(dir, 'daemon.json'), '--data-root', join(dir, 'data')],
    ...['--exec-root', join(dir, 'exec'), '-H', socket, '--pidfile', join(dir, 'pid'), '--storage-driver', 'overlay2'],
    ...['--iptables=false', '--ip-forward=false', '--bridge=none'],
  ]);
  const daemon = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  daemon.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const ended = once(daemon, 'close');
  const run = (...words: readonly string[]): string =>
    execFileSync(program, ['--config', join(dir, 'config'), '-H', socket, ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, DOCKER_BUILDKIT: '0' },
    }).trim();
  const docker: Docker = {
    ...{ name: 'docker', keepsManifest: false, run },
    make: (reference) => {
      writeContext(join(dir, 'context'), 'docker');
      run('build', '-q', '-t', reference, join(dir, 'context'));
      run('push', '-q', reference);
      run('rmi', reference);
    },
    pull: (reference) => {
      run('pull', '-q', reference);
      return dockerSeen(run('image', 'inspect', reference));
    },
    push: (from, to) => {
      run('tag', from, to);
      run('push', '-q', to);
    },
    [Symbol.asyncDispose]: async () => {
      daemon.kill('SIGTERM');
      await ended;
    },
  };
  const deadline = Date.now() + DAEMON_PATIENCE_MS;
  while (!answers(docker)) {
    if (Date.now() > deadline || daemon.exitCode !== null) {
      await docker[Symbol.asyncDispose]();
      throw new Error(`dockerd did not start:\n${said}`);
    }
    await sleep(50);
  }
  return docker;
};

const answers = (docker: Docker): boolean => {
  try {
    return docker.run('version') !== '';
  } catch {
    return false;
  }
};

interface Inspected {
  readonly Id: string;
  readonly RepoDigests: readonly string[];
  readonly RootFS: { readonly Layers: readonly string[] };
  readonly Digest?: string;
}

export const dockerSeen = (inspected: string): Seen => {
  const [image] = JSON.parse(inspected) as readonly Inspected[];
  if (image === undefined) throw new Error('nothing inspected');
  return {
    id: image.Id.startsWith('sha256:') ? image.Id : `sha256:${image.Id}`,
    diffIds: image.RootFS.Layers,
    manifestDigest: image.Digest ?? image.RepoDigests[0]?.split('@')[1],
  };
};

export interface Podman extends Peer {
  run(...args: readonly string[]): string;
}

/** podman with every directory of its own in `dir`. */
export const openPodman = (dir: string, { workingDir = '.' }: { readonly workingDir?: string } = {}): Podman => {
  const options = [
    ...['--root', join(dir, 'root'), '--runroot', join(dir, 'run'), '--tmpdir', join(dir, 'tmp')],
    ...['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
    ...['--network-config-dir', join(dir, 'networks')],
  ];
  const run = (...args: readonly string[]): string =>
    runContained('env', '-C', workingDir, 'podman', ...options, ...args);
  const push = (from: string, to: string): void => {
    run('push', '-q', '--tls-verify=false', from, `docker://${to}`);
  };
  return {
    ...{ name: 'podman', keepsManifest: false, run, push },
    make: (reference) => {
      mkdirSync(join(dir, 'context'), { recursive: true });
      writeContext(join(dir, 'context'), 'podman');
      run('build', '-q', '--layers', '--isolation', 'chroot', '-t', reference, join(dir, 'context'));
      push(reference, reference);
      run('rmi', '-f', reference);
    },
    pull: (reference) => {
      run('pull', '-q', '--tls-verify=false', reference);
      return dockerSeen(run('image', 'inspect', reference));
    },
  };
};

/** What is in a directory that skopeo wrote as `dir:`: the documents byte for byte. */
export const seenInDir = (dir: string): Seen => {
  const bytes = readFileSync(join(dir, 'manifest.json'));
  const { config } = parseManifest(bytes);
  const diffIds = parseImageConfig(readFileSync(join(dir, config.digest.slice('sha256:'.length)))).rootfs.diff_ids;
  return { id: config.digest, diffIds, manifestDigest: digestOf(bytes) };
};

/** skopeo with directories; what it pushes first, umoci makes. */
export const openSkopeo = (dir: string): Peer => {
  const place = (reference: string): string => join(dir, reference.replaceAll(/[/:]/g, '_'));
  return {
    ...{ name: 'skopeo', keepsManifest: true },
    make: (reference) => {
      const layout = join(dir, 'umoci');
      mkdirSync(join(dir, 'context'), { recursive: true });
      writeContext(join(dir, 'context'), 'umoci');
      runContained('umoci', 'init', '--layout', layout);
      runContained('umoci', 'new', '--image', `${layout}:app`);
      const insert = ['insert', '--image', `${layout}:app`, join(dir, 'context/tree')];
      runContained('umoci', ...insert, '/');
      runContained('umoci', ...insert, '/again');
      runContained('umoci', 'config', '--image', `${layout}:app`, '--config.env', 'MAKER=umoci');
      skopeoCopy(`oci:${layout}:app`, `docker://${reference}`);
    },
    pull: (reference) => {
      skopeoCopy(`docker://${reference}`, `dir:${place(reference)}`);
      return seenInDir(place(reference));
    },
    push: (from, to) => {
      skopeoCopy(`dir:${place(from)}`, `docker://${to}`);
    },
  };
};

const ACCEPTED = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** Without a connection that stays open, which a test would have to answer for. */
const getOnce = async (url: string): Promise<Buffer> => {
  const [response] = (await once(request(url, { agent: false, headers: { accept: ACCEPTED } }).end(), 'response')) as [
    IncomingMessage,
  ];
  if (response.statusCode !== 200) throw new Error(`${url}: ${String(response.statusCode)}`);
  return Buffer.concat((await response.toArray()) as Buffer[]);
};

/** What a registry has under a name, asked with nothing but HTTP. */
export const seenAtRegistry = async (reference: string): Promise<Seen & { readonly layers: readonly Digest[] }> => {
  const [, domain = '', path = '', tag = ''] = /^([^/]+)\/(.+):([^:]+)$/.exec(reference) ?? [];
  const get = (what: string): Promise<Buffer> => getOnce(`http://${domain}/v2/${path}/${what}`);
  const bytes = await get(`manifests/${tag}`);
  const { config, layers } = parseManifest(bytes);
  const configBytes = await get(`blobs/${config.digest}`);
  return {
    id: digestOf(configBytes),
    diffIds: parseImageConfig(configBytes).rootfs.diff_ids,
    manifestDigest: digestOf(bytes),
    layers: layers.map(({ digest }) => digest),
  };
};
