import { describe, expect, it } from '@jest/globals';
import {
  artifactIndex,
  composeIndex,
  describeArtifact,
  digestOf,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  emptyImage,
  imageArtifact,
  OCI_INDEX,
  parseReference,
} from '@tsc/image';
import type { Artifact } from '@tsc/image';

import { compileTemplate } from '../format/template/evaluate.ts';
import { parseAnnotation } from './annotation.ts';
import { combine } from './combine.ts';
import { formatDetails } from './details.ts';
import { goImage, goManifest } from './go-names.ts';
import { locateSources, parseSource } from './source.ts';

const digest = digestOf('x');
const image = (architecture: string): Artifact => imageArtifact(emptyImage({ architecture }));
const docker = (architecture: string): Artifact => {
  const artifact = image(architecture);
  return { ...artifact, descriptor: { ...artifact.descriptor, mediaType: DOCKER_MANIFEST } };
};

describe('sources', () => {
  it('are names, digests or descriptors', () => {
    expect(parseSource('app:1', parseReference)).toMatchObject({
      reference: parseReference('app:1'),
      digest: undefined,
    });
    expect(parseSource(`${digest}\n`, parseReference)).toMatchObject({ reference: undefined, digest });
    const descriptor = { digest, size: 5, platform: { architecture: 'arm64', os: 'linux' }, annotations: { a: 'b' } };
    const { platform, annotations } = descriptor;
    expect(parseSource(JSON.stringify(descriptor), parseReference)).toMatchObject({
      digest,
      patch: { size: 5, platform, annotations },
    });
  });

  it.each([['App'], ['{"digest":"sha256:1"}'], ['{'], [`{"digest":"${digest}","platform":{"os":1}}`], ['{"a":1}']])(
    'refuse %s',
    (word) => {
      expect(() => parseSource(word, parseReference)).toThrow(
        /^failed to parse source .* valid sources are digests, references and descriptors: /,
      );
    },
  );

  it('without a name are in the one repository that there is', () => {
    const sources = [digest, 'app:1'].map((word) => parseSource(word, parseReference));
    expect(locateSources(sources, [parseReference('app:2')]).map(({ path }) => path)).toEqual([
      'library/app',
      'library/app',
    ]);
    expect(() => locateSources(sources, [parseReference('web')])).toThrow('multiple repositories specified');
    expect(() => locateSources(sources.slice(0, 1), [])).toThrow('no repositories specified');
  });
});

describe('annotations', () => {
  it('say what they are for', () => {
    expect(parseAnnotation('index:a=b=c')).toMatchObject({ target: 'index', key: 'a', value: 'b=c' });
    expect(parseAnnotation('manifest-descriptor[linux/arm64]:a=')).toMatchObject({
      platform: 'linux/arm64',
      value: '',
    });
  });
  it.each([
    ['a=b', 'annotating a manifest'],
    ['index', 'TARGET:key=value'],
    ['layer:a=b', '"layer" is nothing to annotate'],
    ['index[linux/arm64]:a=b', 'for no platform'],
  ])('refuse %s', (word, message) => {
    expect(() => parseAnnotation(word)).toThrow(message);
  });
});

describe('combining', () => {
  const plain = { annotations: [], preferIndex: true };
  const [amd, arm] = [image('amd64'), image('arm64')];

  it('leaves a single index as it is', () => {
    const index = composeIndex([amd, arm]);
    expect(combine([index], plain)).toBe(index);
    expect(combine([amd], { ...plain, preferIndex: false })).toBe(amd);
    expect(artifactIndex(combine([amd], plain)).manifests).toHaveLength(1);
  });

  it('takes the members of indexes, each once, with what their lines say', () => {
    const annotated = describeArtifact(arm, {
      platform: { architecture: 'arm64', os: 'linux' },
      annotations: { a: 'b' },
    });
    const made = combine([amd, composeIndex([amd, annotated])], plain);
    expect(artifactIndex(made)).toMatchObject({
      mediaType: OCI_INDEX,
      manifests: [
        { digest: amd.descriptor.digest, platform: { architecture: 'amd64' } },
        { digest: arm.descriptor.digest, annotations: { a: 'b' } },
      ],
    });
  });

  it('makes a Docker list of Docker manifests, unless it is annotated', () => {
    expect(combine([docker('amd64'), docker('arm64')], plain).descriptor.mediaType).toBe(DOCKER_MANIFEST_LIST);
    expect(combine([docker('amd64'), arm], plain).descriptor.mediaType).toBe(OCI_INDEX);
    const annotations = [parseAnnotation('index:a=b'), parseAnnotation('manifest-descriptor[linux/aarch64]:c=d')];
    const made = artifactIndex(combine([amd, arm], { ...plain, annotations }));
    expect(made.annotations).toEqual({ a: 'b' });
    expect(made.manifests.map((line) => line.annotations)).toEqual([undefined, { c: 'd' }]);
  });
});

describe('details', () => {
  it('align as those of buildx', () => {
    const index = composeIndex([image('amd64'), image('arm64')]);
    const [one, two] = artifactIndex(index).manifests;
    const text = formatDetails(parseReference('app'), index.descriptor, artifactIndex(index).manifests);
    const space = ' '.repeat(11);
    expect(text.split('\n')).toEqual([
      'Name:      docker.io/library/app:latest',
      `MediaType: ${OCI_INDEX}`,
      `Digest:    ${index.descriptor.digest}`,
      space,
      'Manifests: ',
      `  Name:      docker.io/library/app:latest@${one?.digest ?? ''}`,
      `  MediaType: ${one?.mediaType ?? ''}`,
      '  Platform:  linux/amd64',
      `  ${space}`,
      `  Name:      docker.io/library/app:latest@${two?.digest ?? ''}`,
      `  MediaType: ${two?.mediaType ?? ''}`,
      '  Platform:  linux/arm64',
      '',
    ]);
  });

  it('have the names of Go in templates, and their own as JSON', () => {
    const config = { os: 'linux', rootfs: { diff_ids: ['x'] }, config: { Labels: { os: 'kept' } } };
    const render = (template: string, data: unknown): string => compileTemplate(template)(data);
    expect(render('{{.OS}} {{.RootFS.DiffIDs}} {{.Config.Labels.os}} {{.Config.User}}.', goImage(config))).toBe(
      'linux [x] kept .',
    );
    expect(render('{{json .Config}}', goImage(config))).toBe('{"Labels":{"os":"kept"}}');
    const manifest = goManifest({ manifests: [{ digest, platform: { os: 'linux', architecture: 'arm64' } }] });
    expect(
      render('{{range .Manifests}}{{.Digest}} {{.Platform.Variant}}{{.Platform.Architecture}}{{end}}', manifest),
    ).toBe(`${digest} arm64`);
    expect(render('{{json .}}', goImage(null))).toBe('null');
  });
});
