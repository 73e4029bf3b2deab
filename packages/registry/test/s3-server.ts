import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

import type { S3StorageOptions } from '../src/s3.ts';

const run = promisify(execFile);
const START_TIMEOUT_MS = 60_000;

/** Ceph's object gateway (Debian: `radosgw ceph-mon ceph-osd`) with a cluster of one node, in memory. */
export interface S3Server extends AsyncDisposable {
  readonly client: S3Client;
  /** Makes a bucket, and says how to open it. */
  createBucket(): Promise<S3StorageOptions>;
  stop(): Promise<void>;
}

const credentials = { accessKeyId: 'test-key', secretAccessKey: 'test-secret' };

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) server.close();
  return ports;
}

/** Everything of the cluster is in one directory; nothing is asked of the machine's own configuration. */
const configOf = (dir: string, { fsid, monitorPort, port }: Cluster): string => `[global]
fsid = ${fsid}
mon host = v2:127.0.0.1:${String(monitorPort)}
public addr = 127.0.0.1
ms bind ipv6 = false
keyring = ${dir}/keyring
run dir = ${dir}
admin socket =
log file = ${dir}/$name.log
pid file =
mon data = ${dir}/mon
osd data = ${dir}/osd
osd objectstore = memstore
memstore device bytes = 8589934592
osd class load list = *
osd class default list = *
osd pool default size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 2000
mon data avail crit = 1
mon data avail warn = 1
paxos propose interval = 0.02
paxos min wait = 0.01
rgw data = ${dir}
rgw frontends = beast endpoint=127.0.0.1:${String(port)} tcp_nodelay=1
`;

interface Cluster {
  readonly fsid: string;
  readonly monitorPort: number;
  readonly port: number;
}

export async function startS3Server(): Promise<S3Server> {
  const dir = await mkdtemp(join(tmpdir(), 's3-'));
  const [monitorPort = 0, port = 0] = await freePorts(2);
  const cluster = { fsid: randomUUID(), monitorPort, port };
  const config = join(dir, 'ceph.conf');
  const daemons: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    for (const daemon of daemons.splice(0).reverse()) {
      if (daemon.exitCode !== null || daemon.signalCode !== null) continue;
      const exited = once(daemon, 'exit');
      daemon.kill('SIGKILL');
      await exited;
    }
    await rm(dir, { recursive: true, force: true });
  };
  const act = (program: string, ...args: readonly string[]): Promise<unknown> =>
    run(program, ['-c', config, ...args], { timeout: START_TIMEOUT_MS });
  const serve = (program: string, ...args: readonly string[]): void => {
    const log = openSync(join(dir, `${program}.out`), 'w');
    daemons.push(spawn(program, ['-f', '-c', config, ...args], { stdio: ['ignore', log, log] }));
    closeSync(log);
  };
  try {
    await writeFile(config, configOf(dir, cluster));
    await writeCluster(dir, cluster);
    await act('ceph-mon', '--mkfs', '-i', 'a', '--monmap', join(dir, 'monmap'), '--no-mon-config');
    serve('ceph-mon', '-i', 'a');
    const osd = randomUUID();
    await act('ceph', '--connect-timeout', '30', 'osd', 'new', osd);
    await act('ceph-osd', '--mkfs', '-i', '0', '--osd-uuid', osd, '--no-mon-config');
    serve('ceph-osd', '-i', '0');
    const { accessKeyId, secretAccessKey } = credentials;
    const user = ['--uid=test', '--display-name=test', `--access-key=${accessKeyId}`, `--secret=${secretAccessKey}`];
    await act('radosgw-admin', 'user', 'create', ...user);
    serve('radosgw', '-n', 'client.rgw');
    await untilServing(`http://127.0.0.1:${String(port)}`);
  } catch (error) {
    const out = await readFile(join(dir, 'radosgw.out'), 'utf8').catch(() => '');
    await stop();
    throw new Error(`the S3 server did not start: ${out}`, { cause: error });
  }
  const endpoint = `http://127.0.0.1:${String(port)}`;
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: { ...credentials } });
  const createBucket = async (): Promise<S3StorageOptions> => {
    const bucket = `test-${randomUUID()}`;
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    return { bucket, endpoint, credentials };
  };
  const end = async (): Promise<void> => {
    client.destroy();
    await stop();
  };
  return { client, createBucket, stop: end, [Symbol.asyncDispose]: end };
}

/** What a cluster's monitor must know before its first start: itself, and the keys of the others. */
async function writeCluster(dir: string, { fsid, monitorPort }: Cluster): Promise<void> {
  await mkdir(join(dir, 'osd'));
  const keyring = join(dir, 'keyring');
  await run('ceph-authtool', ['-C', keyring, '-n', 'mon.', '--gen-key', '--cap', 'mon', 'allow *']);
  for (const name of ['client.admin', 'client.rgw', 'osd.0']) {
    const capabilities = ['--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *'];
    await run('ceph-authtool', [keyring, '-n', name, '--gen-key', ...capabilities]);
  }
  const address = `[v2:127.0.0.1:${String(monitorPort)}]`;
  await run('monmaptool', ['--create', '--fsid', fsid, '--addv', 'a', address, join(dir, 'monmap')]);
}

async function untilServing(url: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(5000), headers: { connection: 'close' } });
      await answer.body?.cancel();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(100);
    }
  }
}
