import { appendLayer, withConfig } from '@tsc/image';
import type { FileEntry, Image, ImageStore, Layer } from '@tsc/image';
import type { StageSettings } from './config-step.ts';
import type { TreeEntry } from './file-tree.ts';
import type { TreeLayer } from './layered-tree.ts';

/** The builder needs of a store only this. */
export type BuildStore = Pick<ImageStore, 'resolve' | 'image' | 'write' | 'remove'>;

/** A stage after some of its instructions. A value: each instruction makes another one. */
export interface StageState {
  readonly image: Image;
  readonly settings: StageSettings;
  /** The image's files, topmost layer first; undefined after RUN, when only the store can tell. */
  readonly layers: readonly TreeLayer[] | undefined;
}

/** The time that everything this build makes is dated with. */
export interface BuildTime {
  readonly created: Date | undefined;
}

/** Clears what a stage does not inherit from the one that it is built on. */
export const beginStage = (state: StageState): StageState => ({
  ...state,
  settings: { ...state.settings, args: new Map(), hasCmd: false },
});

/** The state with other settings, and a line in the history. */
export function withSettings(state: StageState, settings: StageSettings, step: HistoryLine): StageState {
  const image = withConfig(state.image, {
    author: settings.author ?? state.image.config.author,
    created: step.created?.toISOString() ?? state.image.config.created,
    config: settings.config,
    history: historyOf(step),
  });
  return { ...state, image, settings };
}

interface HistoryLine extends BuildTime {
  readonly createdBy: string;
}

const historyOf = ({
  created,
  createdBy,
}: HistoryLine): { readonly created?: string; readonly created_by: string } => ({
  ...(created === undefined ? {} : { created: created.toISOString() }),
  created_by: createdBy,
});

/** The state with one more layer, and what is known of its files. */
export function withLayer(
  state: StageState,
  { layer, files, ...step }: HistoryLine & { readonly layer: Layer; readonly files: TreeLayer | undefined },
): StageState {
  const dated =
    step.created === undefined ? state.image : withConfig(state.image, { created: step.created.toISOString() });
  const layers = files === undefined || state.layers === undefined ? undefined : [files, ...state.layers];
  return { ...state, image: appendLayer(dated, layer, historyOf(step)), layers };
}

/** Files by path as the entries of a layer, parents first. */
export const layerEntries = (files: ReadonlyMap<string, TreeEntry>): readonly FileEntry[] =>
  [...files].map(([path, entry]) => ({
    path: `/${path}`,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    content: entry.type === 'file' ? entry.content : undefined,
    sourcePath: entry.type === 'file' ? entry.sourcePath : undefined,
    linkTarget: entry.type === 'symlink' ? entry.linkTarget : undefined,
  }));
