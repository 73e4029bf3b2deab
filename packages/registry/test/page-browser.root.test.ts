import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { hash } from 'bcryptjs';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';

import { describeRoot } from '../../../test/root.ts';
import { openAccessControl, pageEndpoints } from '../src/index.ts';
import { serve } from './operation-server.ts';
import type { TestServer } from './operation-server.ts';
import { pushImage, pushManifest, pushService } from './page-content.ts';

const EVIL = `"'><script>document.title='evil'</script><img src=x onerror="document.title='evil'"><style>*{display:none}</style>`;

describeRoot('the page in a browser', () => {
  let server: TestServer;
  let browser: Browser;
  /** What the browser complained of, and what it asked others for. */
  let complaints: string[];

  beforeAll(async () => {
    server = await serve((storage) => ({ endpoints: pageEndpoints({ storage }) }));
    await pushService(server.storage, 'team/service', ['latest', '2.4']);
    await pushImage(server.storage, 'team/other', { tags: ['v1'] });
    await pushEvil(server);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    complaints = [];
    // Debian's; it has no sandbox for root.
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  });
  afterEach(() => browser.close());

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const page = await (await browser.newContext(options)).newPage();
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      if (!request.url().startsWith(server.url) && !request.url().startsWith('data:')) complaints.push(request.url());
    });
    return page;
  }

  test('leads from the list to a layer', async () => {
    const page = await open();
    await page.goto(server.url);
    expect(await page.title()).toBe('Repositories · Registry');
    await page.getByRole('link', { name: 'team/service' }).click();
    await page.getByRole('link', { name: 'latest' }).click();
    await page.getByRole('link', { name: 'linux/arm64' }).click();
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toMatch(/^team\/service@[\da-f]{12}$/);
    const layers = page.getByRole('region', { name: 'Layers' });
    expect(await layers.getByRole('row').nth(3).textContent()).toMatch(/RUN apk add[^]*21\.4 MB/);
    await page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link', { name: 'team/service' }).click();
    expect(page.url()).toBe(`${server.url}/ui/repositories/team/service`);
    expect(complaints).toEqual([]);
  });

  test('finds while one writes, by the keyboard alone, and copies a command', async () => {
    const page = await open({ permissions: ['clipboard-read', 'clipboard-write'] });
    await page.goto(`${server.url}/ui/`);
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to content');
    await page.keyboard.press('/');
    await page.keyboard.type('OTHER');
    expect(await page.locator('tbody tr:visible').count()).toBe(1);
    await page.keyboard.press('Enter');
    await page.waitForURL('**/ui/?q=OTHER');
    await page.getByRole('link', { name: 'team/other' }).press('Enter');
    await page.getByRole('link', { name: 'v1' }).click();
    await page.getByRole('button', { name: 'Copy: command to pull by tag' }).click();
    const copied: unknown = await page.evaluate('navigator.clipboard.readText()');
    expect(copied).toBe(`docker pull ${new URL(server.url).host}/team/other:v1`);
    expect(complaints).toEqual([]);
  });

  test('runs and shows nothing of what hostile people push', async () => {
    const page = await open();
    for (const path of [
      'repositories/evil',
      'images/evil:v1',
      'images/evil:artifact',
      `?q=${encodeURIComponent(EVIL)}`,
    ]) {
      await page.goto(`${server.url}/ui/${path}`);
      expect(await page.title()).not.toBe('evil');
      expect(await page.locator('img').count()).toBe(0);
      expect(await page.locator('script').count()).toBe(1);
      expect(await page.getByRole('heading', { level: 1 }).isVisible()).toBe(true);
    }
    expect(complaints).toEqual([]);
    // The second wall: what got through as markup would not run either.
    await page.evaluate(`document.body.insertAdjacentHTML('beforeend', ${JSON.stringify(EVIL)})`);
    await page.evaluate(`{
      const script = document.createElement('script');
      script.textContent = 'document.title = "evil"';
      document.body.append(script);
    }`);
    expect(await page.title()).not.toBe('evil');
    expect(await page.getByRole('heading', { level: 1 }).isVisible()).toBe(true);
    expect(complaints.length).toBeGreaterThan(0);
  });

  test('needs no JavaScript', async () => {
    const page = await open({ javaScriptEnabled: false });
    await page.goto(`${server.url}/ui/`);
    await page.getByRole('searchbox').fill('service');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByRole('link', { name: 'team/service' }).click();
    await page.getByRole('link', { name: 'latest' }).click();
    expect(await page.getByRole('button').count()).toBe(0);
    expect(await page.getByText('docker pull').first().isVisible()).toBe(true);
  });

  test.each(['light', 'dark'] as const)('can be read in %s, on a phone too', async (colorScheme) => {
    const page = await open({ colorScheme, viewport: { width: 360, height: 800 } });
    for (const path of [
      '',
      'repositories/team/service',
      'images/team/service:latest',
      'repositories/evil',
      'images/evil:v1',
    ]) {
      await page.goto(`${server.url}/ui/${path}`);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
    }
    const brightness = async (property: string): Promise<number> => {
      const colour: string = await page.evaluate(`getComputedStyle(document.body).${property}`);
      return (colour.match(/\d+/g) ?? []).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
    };
    const [ink, paper] = [await brightness('color'), await brightness('backgroundColor')];
    expect(colorScheme === 'dark' ? ink - paper : paper - ink).toBeGreaterThan(500);
    expect(complaints).toEqual([]);
  });

  test('asks for a password, and takes the account that htpasswd has', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'tsc-registry-page-'));
    const htpasswdFile = join(dir.path, 'accounts');
    await writeFile(htpasswdFile, `alice:${await hash('sesame', 4)}\n`);
    await using opened = await openAccessControl({ accounts: { htpasswdFile }, tokens: {} });
    const { access } = opened;
    await using closed = await serve((storage) => ({ access, endpoints: pageEndpoints({ storage }) }));
    await pushImage(closed.storage, 'private/app', { tags: ['v1'] });
    const stranger = await open();
    expect((await stranger.goto(`${closed.url}/ui/`).catch(() => undefined))?.status() ?? 401).toBe(401);
    const page = await open({ httpCredentials: { username: 'alice', password: 'sesame' } });
    await page.goto(`${closed.url}/`);
    await page.getByRole('link', { name: 'private/app' }).click();
    expect(await page.getByText('signed in as alice').isVisible()).toBe(true);
  });
});

async function pushEvil({ storage }: TestServer): Promise<void> {
  const pairs = { [EVIL]: EVIL, link: 'javascript:document.title="evil"', long: 'x'.repeat(3000) };
  const image = await pushImage(storage, 'evil', {
    tags: ['v1'],
    architecture: EVIL,
    steps: [[`${EVIL}${'y'.repeat(1000)}`, 10]],
    config: { Entrypoint: [EVIL], Env: [`${EVIL}=${EVIL}`], Labels: pairs },
    annotations: pairs,
  });
  await pushManifest(storage, 'evil', {
    document: { artifactType: EVIL, annotations: pairs, layers: [], subject: image },
    tags: ['artifact'],
    referrer: { subject: image.digest, artifactType: EVIL, annotations: new Map() },
  });
}
