import { formatFamiliarReference, isImageError, parseReference } from '@tsc/image';
import type { ImageStore, RemoveReport, StoredImage } from '@tsc/image';

import type { CallOptions, ContainerSummary } from './api.ts';
import { EngineError } from './errors.ts';

export interface RemovalParts {
  readonly images: ImageStore;
  readonly containers: readonly ContainerSummary[];
}

/** Removes an image, or one name of it, unless that would take the image of a container away. */
export async function removeImage(
  { images, containers }: RemovalParts,
  reference: string,
  { force = false, signal }: CallOptions & { readonly force?: boolean | undefined } = {},
): Promise<RemoveReport> {
  const image = await images.resolve(reference);
  refuseInUse(image, { reference, force, users: containers.filter(({ imageId }) => imageId === image.id) });
  return await images.remove(reference, { force, signal });
}

interface Removal {
  readonly reference: string;
  readonly force: boolean;
  readonly users: readonly ContainerSummary[];
}

function refuseInUse(image: StoredImage, { reference, force, users }: Removal): void {
  const byName = isNameOf(image, reference);
  // The image stays under its other names.
  if (byName && image.names.length > 1) return;
  const running = users.find(({ status }) => status === 'running' || status === 'restarting');
  const user = running ?? users[0];
  if (user === undefined || (force && running === undefined)) return;
  const [id, short] = [user.id.slice(0, 12), image.id.replace(/^sha256:/, '').slice(0, 12)];
  if (byName && !force) {
    throw conflict(
      `conflict: unable to remove repository reference "${reference}" (must force) - ` +
        `container ${id} is using its referenced image ${short}`,
      user,
    );
  }
  const how = running === undefined ? ['must be forced', 'stopped'] : ['cannot be forced', 'running'];
  throw conflict(
    `conflict: unable to delete ${short} (${how[0] ?? ''}) - image is being used by ${how[1] ?? ''} container ${id}`,
    user,
  );
}

const conflict = (message: string, { id }: ContainerSummary): EngineError =>
  new EngineError('ENGINE_IMAGE_IN_USE', message, { containerId: id });

function isNameOf({ names }: StoredImage, reference: string): boolean {
  try {
    return names.includes(formatFamiliarReference(parseReference(reference)));
  } catch (error) {
    if (isImageError(error) && error.code === 'REFERENCE_INVALID') return false; // an id
    throw error;
  }
}
