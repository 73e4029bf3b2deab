import { dispatch } from './dispatch.ts';
import { endQuietlyWithoutReader, flushed } from './output.ts';

endQuietlyWithoutReader();
const exitCode = await dispatch(process.argv.slice(2), process.env);
await flushed();
// Standard input may still be open, and nothing more is read from it.
process.exit(exitCode);
