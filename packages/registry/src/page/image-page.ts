import type { Digest, ManifestReference } from '../names.ts';
import type { RegistryStorage } from '../storage.ts';
import { sizeOf, eachOf } from './catalogue.ts';
import type { Catalogue, ImageView } from './catalogue.ts';
import type { Descriptor } from './document.ts';
import { age, formatBytes, shortDigest } from './format.ts';
import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';
import { configSection, layersSection } from './image-sections.ts';
import type { PageContent } from './layout.ts';
import { digestPath, HOME, repositoryPath } from './place.ts';
import { referrersSection } from './referrers-section.ts';
import { pairsTable, section } from './section.ts';

export interface ImageQuery {
  readonly name: string;
  readonly reference: ManifestReference;
  /** What references to images here begin with: `registry.example.com:5000`. */
  readonly domain: string;
}

export interface ImageSource {
  readonly storage: RegistryStorage;
  readonly catalogue: Catalogue;
  readonly signal: AbortSignal;
}

const copyLine = (label: string, text: string): Html =>
  html`<div class="copy">
    <code tabindex="0" aria-label="${label}">${text}</code
    ><button type="button" data-copy="${text}" aria-label="Copy: ${label}" hidden>Copy</button>
  </div>`;

const fact = (term: string, value: Html, wide?: 'wide'): Html =>
  html`<div class="${wide ?? ''}">
    <dt>${term}</dt>
    <dd>${value}</dd>
  </div>`;

function kindOf({ members, layers, image, artifactType, config }: ImageView): string {
  if (image !== undefined) return 'Image';
  if (members.length > 0) return 'Index';
  if (artifactType !== undefined || config !== undefined || layers.length > 0) return 'Artifact';
  return 'Manifest';
}

function factsSection(view: ImageView, name: string): Html {
  const { digest, mediaType, manifestBytes, artifactType, config, image, subject, members } = view;
  const created = image?.created === undefined ? undefined : Date.parse(image.created);
  const kind = artifactType ?? (image === undefined && members.length === 0 ? config?.mediaType : undefined);
  return html`<dl class="card facts">
    ${fact('Kind', html`${kindOf(view)}`)}
    ${image?.platform === undefined ? NOTHING : fact('Platform', html`${image.platform}`)}
    ${members.length > 0 ? fact('Members', html`${members.length}`) : fact('Size', html`${formatBytes(sizeOf(view))}`)}
    ${created === undefined ? NOTHING : fact('Created', age(created))}
    ${fact('Manifest', html`${formatBytes(manifestBytes)}`)}
    ${kind === undefined ? NOTHING : fact('Type of artifact', html`<code>${kind}</code>`, 'wide')}
    ${subject === undefined ? NOTHING : fact('Is about', html`<a class="mono" href="${digestPath(name, subject.digest)}">${subject.digest}</a>`, 'wide')}
    ${fact('Digest', html`<a class="mono" href="${digestPath(name, digest)}">${digest}</a>`, 'wide')}
    ${fact('Media type', html`<code>${mediaType}</code>`, 'wide')}
  </dl>`;
}

async function memberRow({ catalogue }: ImageSource, name: string, member: Descriptor): Promise<Html> {
  const bytes = await catalogue.memberBytes(name, member.digest);
  const about = member.annotations.find(([key]) => key === 'vnd.docker.reference.type')?.[1];
  const label = member.platform ?? about ?? member.artifactType ?? 'any platform';
  const digest =
    bytes === undefined
      ? html`<span class="mono" title="${member.digest}">${shortDigest(member.digest)}</span>
          <span class="dim">(not here)</span>`
      : html`<a class="mono" href="${digestPath(name, member.digest)}" title="${member.digest}"
          >${shortDigest(member.digest)}</a
        >`;
  return html`<tr>
    <th scope="row">
      ${bytes === undefined ? label : html`<a href="${digestPath(name, member.digest)}">${label}</a>`}
    </th>
    <td data-label="Size" class="num">${bytes === undefined ? '—' : formatBytes(bytes)}</td>
    <td data-label="Digest" class="tight">${digest}</td>
  </tr>`;
}

async function membersSection(source: ImageSource, name: string, members: readonly Descriptor[]): Promise<Html> {
  if (members.length === 0) return NOTHING;
  const rows = await eachOf(members, (member) => memberRow(source, name, member));
  return section('Platforms', {
    count: members.length,
    body: html`<div class="card scroll">
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">Platform</th>
            <th scope="col" class="num">Size</th>
            <th scope="col">Digest</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>`,
  });
}

/**
 * What a manifest has: an image, an index of images, or anything else.
 *
 * @throws {@link RegistryError} `MANIFEST_UNKNOWN`
 */
export async function imagePage(source: ImageSource, { name, reference, domain }: ImageQuery): Promise<PageContent> {
  const { storage, catalogue, signal } = source;
  const digest: Digest =
    reference.type === 'digest' ? reference.digest : await storage.resolveTag(name, reference.tag, { signal });
  const view = await catalogue.image(name, digest, signal);
  const label = reference.type === 'tag' ? reference.tag : shortDigest(digest);
  const separator = reference.type === 'tag' ? ':' : '@';
  const byTag = reference.type === 'tag' ? `docker pull ${domain}/${name}:${reference.tag}` : undefined;
  const referrers = await referrersSection(source, name, digest);
  return {
    title: `${name}${separator}${label}`,
    crumbs: [
      { text: 'Repositories', path: HOME },
      { text: name, path: repositoryPath(name) },
    ],
    heading: html`${name}<span class="sep">${separator}</span>${label}`,
    body: html`${byTag === undefined ? NOTHING : copyLine('command to pull by tag', byTag)}
    ${copyLine('command to pull by digest', `docker pull ${domain}/${name}@${digest}`)} ${factsSection(view, name)}
    ${await membersSection(source, name, view.members)} ${layersSection(view)} ${configSection(view.image)}
    ${pairsTable('Annotations', view.annotations)} ${referrers}`,
  };
}
