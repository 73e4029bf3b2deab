// Packs a directory into a layer and prints its digest: node pack-directory.ts <dir>
import { packLayer } from '@tsc/image';

const [dir = ''] = process.argv.slice(2);
const { stream, packed } = packLayer(dir, { compression: 'gzip' });
stream.resume();
process.stdout.write(`${(await packed).digest}\n`);
