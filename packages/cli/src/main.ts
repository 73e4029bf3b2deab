import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// Before anything else is loaded. The cache lies with the program, and whoever can't write there does without.
enableCompileCache(fileURLToPath(new URL('./compile-cache', import.meta.url)));
const { dispatch } = await import('./dispatch.ts');
const { endQuietlyWithoutReader, flushed } = await import('./output.ts');

endQuietlyWithoutReader();
const exitCode = await dispatch(process.argv.slice(2), process.env);
await flushed();
// Standard input may still be open, and nothing more is read from it.
process.exit(exitCode);
