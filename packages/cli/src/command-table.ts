import type { Command } from './command.ts';

export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<{ readonly command: Command }>;
}

/** Every command. Only the one that is called is loaded; the summaries are here for the list of `tsc --help`. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  attach: {
    summary: 'Attach local standard input, output, and error streams to a running container',
    load: () => import('./commands/attach.ts'),
  },
  build: { summary: 'Build an image from a Dockerfile', load: () => import('./commands/build.ts') },
  commit: {
    summary: "Create a new image from a container's changes",
    load: () => import('./commands/commit.ts'),
  },
  cp: {
    summary: 'Copy files/folders between a container and the local filesystem',
    load: () => import('./commands/cp.ts'),
  },
  create: { summary: 'Create a new container', load: () => import('./commands/create.ts') },
  exec: { summary: 'Execute a command in a running container', load: () => import('./commands/exec.ts') },
  export: {
    summary: "Export a container's filesystem as a tar archive",
    load: () => import('./commands/export.ts'),
  },
  history: { summary: 'Show the history of an image', load: () => import('./commands/history.ts') },
  images: { summary: 'List images', load: () => import('./commands/images.ts') },
  import: {
    summary: 'Import the contents from a tarball to create a filesystem image',
    load: () => import('./commands/import.ts'),
  },
  info: { summary: 'Display system-wide information', load: () => import('./commands/info.ts') },
  inspect: {
    summary: 'Return low-level information on containers and images',
    load: () => import('./commands/inspect.ts'),
  },
  kill: { summary: 'Kill one or more running containers', load: () => import('./commands/kill.ts') },
  load: { summary: 'Load an image from a tar archive or STDIN', load: () => import('./commands/load.ts') },
  login: { summary: 'Authenticate to a registry', load: () => import('./commands/login.ts') },
  logout: { summary: 'Log out from a registry', load: () => import('./commands/logout.ts') },
  logs: { summary: 'Fetch the logs of a container', load: () => import('./commands/logs.ts') },
  port: {
    summary: 'List port mappings or a specific mapping for the container',
    load: () => import('./commands/port.ts'),
  },
  ps: { summary: 'List containers', load: () => import('./commands/ps.ts') },
  pull: { summary: 'Download an image from a registry', load: () => import('./commands/pull.ts') },
  push: { summary: 'Upload an image to a registry', load: () => import('./commands/push.ts') },
  rename: { summary: 'Rename a container', load: () => import('./commands/rename.ts') },
  restart: { summary: 'Restart one or more containers', load: () => import('./commands/restart.ts') },
  rm: { summary: 'Remove one or more containers', load: () => import('./commands/rm.ts') },
  rmi: { summary: 'Remove one or more images', load: () => import('./commands/rmi.ts') },
  run: { summary: 'Create and run a new container from an image', load: () => import('./commands/run.ts') },
  save: {
    summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
    load: () => import('./commands/save.ts'),
  },
  search: { summary: 'Search Docker Hub for images', load: () => import('./commands/search.ts') },
  start: { summary: 'Start one or more stopped containers', load: () => import('./commands/start.ts') },
  stop: { summary: 'Stop one or more running containers', load: () => import('./commands/stop.ts') },
  tag: {
    summary: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
    load: () => import('./commands/tag.ts'),
  },
  version: { summary: 'Show the version information', load: () => import('./commands/version.ts') },
  wait: {
    summary: 'Block until one or more containers stop, then print their exit codes',
    load: () => import('./commands/wait.ts'),
  },
};

export interface CommandGroup {
  readonly summary: string;
  /** Verbs: a command that has a short name too, one that is known by this name only, or a group of its own. */
  readonly verbs: Readonly<Record<string, keyof typeof commands | CommandEntry | CommandGroup>>;
}

/** `tsc container ls`, `tsc image prune`: commands of several words. */
export const commandGroups: Readonly<Record<string, CommandGroup>> = {
  buildx: {
    summary: 'Extended tools for images',
    verbs: {
      imagetools: {
        summary: 'Commands to work on images in registry',
        verbs: {
          create: {
            summary: 'Create a new image based on source images',
            load: () => import('./commands/imagetools-create.ts'),
          },
          inspect: {
            summary: 'Show details of an image in the registry',
            load: () => import('./commands/imagetools-inspect.ts'),
          },
        },
      },
    },
  },
  container: {
    summary: 'Manage containers',
    verbs: {
      attach: 'attach',
      commit: 'commit',
      cp: 'cp',
      create: 'create',
      exec: 'exec',
      export: 'export',
      inspect: 'inspect',
      kill: 'kill',
      list: 'ps',
      logs: 'logs',
      ls: 'ps',
      port: 'port',
      ps: 'ps',
      remove: 'rm',
      rename: 'rename',
      restart: 'restart',
      rm: 'rm',
      run: 'run',
      start: 'start',
      stop: 'stop',
      wait: 'wait',
    },
  },
  image: {
    summary: 'Manage images',
    verbs: {
      build: 'build',
      history: 'history',
      import: 'import',
      inspect: 'inspect',
      list: 'images',
      load: 'load',
      ls: 'images',
      prune: { summary: 'Remove unused images', load: () => import('./commands/image-prune.ts') },
      pull: 'pull',
      push: 'push',
      remove: 'rmi',
      rm: 'rmi',
      save: 'save',
      tag: 'tag',
    },
  },
  manifest: {
    summary: 'Manage image manifests and manifest lists',
    verbs: {
      annotate: {
        summary: 'Add additional information to a local image manifest',
        load: () => import('./commands/manifest-annotate.ts'),
      },
      create: {
        summary: 'Create a local manifest list for annotating and pushing to a registry',
        load: () => import('./commands/manifest-create.ts'),
      },
      inspect: {
        summary: 'Display an image manifest, or manifest list',
        load: () => import('./commands/manifest-inspect.ts'),
      },
      push: {
        summary: 'Push a manifest list to a repository',
        load: () => import('./commands/manifest-push.ts'),
      },
      rm: {
        summary: 'Delete one or more manifest lists from local storage',
        load: () => import('./commands/manifest-rm.ts'),
      },
    },
  },
  registry: {
    summary: 'Serve and look after registries',
    verbs: {
      copy: {
        summary: 'Copy images between registries, for all platforms and with what refers to them',
        load: () => import('./commands/registry-copy.ts'),
      },
      gc: {
        summary: 'Give back the room of what no manifest needs',
        load: () => import('./commands/registry-gc.ts'),
      },
      ls: {
        summary: 'List the repositories of a registry, or the tags of a repository',
        load: () => import('./commands/registry-ls.ts'),
      },
      rm: {
        summary: 'Remove tags, or manifests with all their tags, from a registry',
        load: () => import('./commands/registry-rm.ts'),
      },
      scrub: {
        summary: 'Read everything that a registry has stored, and compare it with its digests',
        load: () => import('./commands/registry-scrub.ts'),
      },
      serve: { summary: 'Serve a registry', load: () => import('./commands/registry-serve.ts') },
    },
  },
  system: {
    summary: 'Manage the engine',
    verbs: {
      df: { summary: 'Show disk usage', load: () => import('./commands/system-df.ts') },
      info: 'info',
    },
  },
};
