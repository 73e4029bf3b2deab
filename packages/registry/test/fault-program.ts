// Not the whole package: this is started hundreds of times.
import { openFileSystemStorage } from '../src/filesystem/storage.ts';
import { scenarios } from './fault-scenarios.ts';

/** Does what the second argument says, in the directory of the first, once something comes through standard input. */
const [rootDir = '', name = ''] = process.argv.slice(2);
const scenario = scenarios[name];
if (scenario === undefined) throw new Error(`no scenario ${name}`);
await using storage = await openFileSystemStorage(rootDir);
const say = (...facts: readonly unknown[]): void => {
  for (const fact of facts) process.stdout.write(`${JSON.stringify(fact)}\n`);
};
say(...(await scenario.prepare(storage)), { type: 'ready' });
await new Promise((resolve) => process.stdin.once('data', resolve));
process.stdin.destroy();
await scenario.act(storage, say);
say({ type: 'done' });
