import type { ImageView } from './catalogue.ts';
import type { ConfigView, Descriptor, HistoryEntry } from './document.ts';
import { formatBytes, shortDigest } from './format.ts';
import { html, NOTHING } from './html.ts';
import type { Html } from './html.ts';
import { pairsTable, section } from './section.ts';

const COLOURS = 8;
const STACK = 1000;

/** One row of the list of layers: a step of the build, a layer, or both. */
interface Step {
  readonly command: string | undefined;
  readonly layer: Descriptor | undefined;
  /** Which of the layers it is. */
  readonly index: number;
}

/** Which step made which layer, where the history agrees with the layers. */
function stepsOf(layers: readonly Descriptor[], history: readonly HistoryEntry[]): readonly Step[] {
  if (history.filter(({ empty }) => !empty).length !== layers.length) {
    return layers.map((layer, index) => ({ command: titleOf(layer), layer, index }));
  }
  let index = 0;
  return history.map(({ command, empty }) => {
    if (empty) return { command, layer: undefined, index: -1 };
    const at = index++;
    return { command, layer: layers[at], index: at };
  });
}

/** What artifacts call the files that their layers are. */
const titleOf = ({ annotations }: Descriptor): string | undefined =>
  annotations.find(([key]) => key === 'org.opencontainers.image.title')?.[1];

const colour = (index: number): string => `f${String(index % COLOURS)}`;

const swatch = (index: number): Html =>
  html`<svg class="swatch" viewBox="0 0 8 8" aria-hidden="true">
    <rect width="8" height="8" rx="2" class="${colour(index)}" />
  </svg>`;

/** How the bytes are spread over the layers. The table below says the same to those who don't see it. */
function stack(layers: readonly Descriptor[]): Html {
  const total = layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (total === 0) return NOTHING;
  let at = 0;
  const parts = layers.map(({ sizeBytes }, index) => {
    const width = (sizeBytes / total) * STACK;
    const part = html`<rect
      x="${at.toFixed(2)}"
      width="${Math.max(0.5, width - 1.5).toFixed(2)}"
      height="14"
      class="${colour(index)}"
    />`;
    at += width;
    return part;
  });
  return html`<svg class="stack" viewBox="0 0 ${STACK} 14" preserveAspectRatio="none" aria-hidden="true">
    ${parts}
  </svg>`;
}

function stepRow({ command, layer, index }: Step): Html {
  const text =
    command === undefined || command === '' ? html`<span class="dim">—</span>` : html`<code>${command}</code>`;
  if (layer === undefined) {
    return html`<tr>
      <td class="num"></td>
      <td><div class="step dim">${text}</div></td>
      <td data-label="Size" class="num dim">no layer</td>
      <td></td>
    </tr>`;
  }
  return html`<tr>
    <td class="num">${swatch(index)}${index + 1}</td>
    <td><div class="step">${text}</div></td>
    <td data-label="Size" class="num">${formatBytes(layer.sizeBytes)}</td>
    <td data-label="Digest" class="tight">
      <code title="${layer.digest} ${layer.mediaType}">${shortDigest(layer.digest)}</code>
    </td>
  </tr>`;
}

/** Layers with their sizes and the commands that made them. */
export function layersSection({ layers, image }: ImageView): Html {
  if (layers.length === 0) return NOTHING;
  const rows = stepsOf(layers, image?.history ?? []).map((step) => stepRow(step));
  return section('Layers', {
    count: layers.length,
    body: html`${stack(layers)}
      <div class="card scroll">
        <table class="rows">
          <thead>
            <tr>
              <th scope="col" class="num">Layer</th>
              <th scope="col">Step or file</th>
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

/** What an image says of the containers made of it. */
export function configSection(image: ConfigView | undefined): Html {
  if (image === undefined) return NOTHING;
  const settings = image.settings.map(
    ([name, values]) =>
      html`<tr>
        <th scope="row">${name}</th>
        <td><code>${values.length === 1 ? values[0] : JSON.stringify(values)}</code></td>
      </tr>`,
  );
  const table = html`<div class="card">
    <table class="pairs">
      <thead>
        <tr>
          <th scope="col">Setting</th>
          <th scope="col">Value</th>
        </tr>
      </thead>
      <tbody>
        ${settings}
      </tbody>
    </table>
  </div>`;
  return html`${settings.length === 0 ? NOTHING : section('Configuration', { body: table })}
  ${pairsTable('Environment', image.env)} ${pairsTable('Labels', image.labels)}`;
}
