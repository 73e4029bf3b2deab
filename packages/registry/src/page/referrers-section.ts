import type { Digest } from '../names.ts';
import { unlessUnknown } from './catalogue.ts';
import { formatBytes, shortDigest } from './format.ts';
import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';
import type { ImageSource } from './image-page.ts';
import { digestPath, tagPath } from './place.ts';
import { section } from './section.ts';

const SHOWN = 200;

/** What artifacts that are found often are called. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^application\/vnd\.dev\.cosign\.artifact\.sig/, 'Signature (cosign)'],
  [/^application\/vnd\.dev\.sigstore\.bundle/, 'Signature (sigstore)'],
  [/^application\/vnd\.cncf\.notary\.signature/, 'Signature (Notary Project)'],
  [/spdx/, 'Bill of materials (SPDX)'],
  [/cyclonedx/, 'Bill of materials (CycloneDX)'],
  [/in-toto/, 'Attestation (in-toto)'],
  [/sarif/, 'Findings (SARIF)'],
];
/** How cosign ties things to an image where it doesn't use referrers. */
const TAGGED: readonly (readonly [suffix: string, name: string])[] = [
  ['sig', 'Signature (cosign)'],
  ['att', 'Attestation (cosign)'],
  ['sbom', 'Bill of materials (cosign)'],
];

interface Row {
  readonly path: string;
  readonly label: string;
  readonly type: string;
  readonly size: string;
  readonly digest: Digest;
}

const labelOf = (type: string): string => NAMES.find(([pattern]) => pattern.test(type))?.[1] ?? 'Artifact';

async function taggedRows({ storage, signal }: ImageSource, name: string, digest: Digest): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const [suffix, label] of TAGGED) {
    const tag = `${digest.replace(':', '-')}.${suffix}`;
    // A tag of a sha512 digest would be longer than tags may be.
    const found = tag.length > 128 ? undefined : await unlessUnknown(storage.resolveTag(name, tag, { signal }));
    if (found !== undefined) rows.push({ path: tagPath(name, tag), label, type: tag, size: '—', digest: found });
  }
  return rows;
}

/** What others have said about a manifest: signatures, bills of materials, attestations. */
export async function referrersSection(source: ImageSource, name: string, digest: Digest): Promise<Html> {
  const { storage, signal } = source;
  const referrers = await storage.listReferrers(name, digest, { signal });
  const rows: readonly Row[] = [
    ...referrers.slice(0, SHOWN).map(({ digest: referrer, artifactType, mediaType, sizeBytes }): Row => {
      const type = artifactType ?? mediaType;
      return {
        path: digestPath(name, referrer),
        label: labelOf(type),
        type,
        size: formatBytes(sizeBytes),
        digest: referrer,
      };
    }),
    ...(await taggedRows(source, name, digest)),
  ];
  if (rows.length === 0) return NOTHING;
  const body = rows.map(
    ({ path, label, type, size, digest: one }) =>
      html`<tr>
        <th scope="row"><a href="${path}">${label}</a></th>
        <td data-label="Type" class="wrapped"><code>${type}</code></td>
        <td data-label="Manifest" class="num">${size}</td>
        <td data-label="Digest" class="tight">
          <a class="mono" href="${digestPath(name, one)}" title="${one}">${shortDigest(one)}</a>
        </td>
      </tr>`,
  );
  const note = referrers.length > SHOWN ? html`<p class="dim">The first ${SHOWN} of ${referrers.length}.</p>` : NOTHING;
  return section('Referrers', {
    count: rows.length + Math.max(0, referrers.length - SHOWN),
    body: html`<div class="card scroll">
        <table class="rows">
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col">Type</th>
              <th scope="col" class="num">Manifest</th>
              <th scope="col">Digest</th>
            </tr>
          </thead>
          <tbody>
            ${body}
          </tbody>
        </table>
      </div>
      ${note}`,
  });
}
