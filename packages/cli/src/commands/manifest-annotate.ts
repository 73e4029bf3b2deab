import { defineCommand } from '../command.ts';
import type { Command } from '../command.ts';
import { failed } from '../errors.ts';
import { list, text } from '../flags/flag.ts';
import { annotatePlatform } from '../manifest-list/platform.ts';
import { openListStore } from '../manifest-list/store.ts';
import { readReference } from '../request/reference.ts';

export const command: Command = defineCommand({
  usage: '[OPTIONS] MANIFEST_LIST MANIFEST',
  summary: 'Add additional information to a local image manifest',
  aliases: ['tsc manifest annotate'],
  flags: {
    arch: text('Set architecture'),
    os: text('Set operating system'),
    'os-features': list('Set operating system feature', { valueName: 'strings' }),
    'os-version': text('Set operating system version'),
    variant: text('Set architecture variant'),
  },
  least: 2,
  most: 2,
  unprivileged: true,
  run: ({ values, positional: [listWord = '', manifestWord = ''] }) => {
    const target = readReference(listWord);
    const manifest = readReference(manifestWord);
    const lists = openListStore();
    const entry = lists.find(target.full, manifest.full);
    if (entry === undefined) throw failed(`manifest for image ${manifestWord} does not exist in ${listWord}`);
    const platform = annotatePlatform(entry.descriptor.platform, {
      os: values.os,
      arch: values.arch,
      variant: values.variant,
      osVersion: values['os-version'],
      osFeatures: values['os-features'].flatMap((word) => word.split(',')).filter(Boolean),
    });
    lists.save(target.full, { ...entry, descriptor: { ...entry.descriptor, platform } });
    return Promise.resolve(0);
  },
});
