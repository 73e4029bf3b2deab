// Imports an archive into a store: node import-archive.ts <rootDir> <archive> <reference>
import { importImage, openImageStore } from '@tsc/image';

const [rootDir = '', archive = '', reference] = process.argv.slice(2);
await importImage(await openImageStore({ rootDir }), archive, { reference });
