import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { CHROMIUM_ARGUMENTS, findChromium } from '../../scripts/programs.mjs';

/** A page, and everything that went wrong or was requested since it was opened. */
export interface OpenPage {
  page: Page;
  /** What the console, uncaught errors, and the Content-Security-Policy reported. */
  complaints: string[];
  /** The URLs that were requested, without `data:`. */
  requests: string[];
}

/** Starts Chromium before the tests of this file. */
export function useBrowser(): (url: string, options?: BrowserContextOptions) => Promise<OpenPage> {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: findChromium(), args: CHROMIUM_ARGUMENTS });
  });
  afterAll(() => browser?.close());
  return async (url, options = {}) => {
    const context = await browser.newContext({ locale: 'en-US', timezoneId: 'UTC', ...options });
    const page = await context.newPage();
    const [complaints, requests]: [string[], string[]] = [[], []];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      if (!request.url().startsWith('data:')) requests.push(request.url());
    });
    await page.goto(url);
    return { page, complaints, requests };
  };
}
