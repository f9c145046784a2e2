import type { FastifyPluginCallback, FastifyRequest } from 'fastify';
import type { Context } from '../../app/context.js';
import { ownVersion } from '../../app/version.js';
import { askFleet } from '../../domain/fleet/running-verifiers.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import type { Report, RunningVerifier } from '../../page/page-data.js';
import { livePolicy, renderLive } from '../../page/render-page.js';
import { forbidden } from '../api/authentication.js';
import type { AppOptions } from '../app-options.js';
import { Feed } from './feed.js';
import { RecentEvents } from './recent-events.js';
import { reportOfAll } from './shared-report.js';

/**
 * Opens the dashboard: what it needs of the verifier, and its routes.
 *
 * @param readReport reads the registry
 */
export function openDashboard(
  { registry, clock }: Pick<Context, 'registry' | 'clock'>,
  readReport: () => Promise<Report>,
) {
  const events = new RecentEvents();
  const report = reportOfAll(readReport);
  const verifiers = async (): Promise<RunningVerifier[] | null> => {
    const fleet = await askFleet({ openRegistry: registry, clock });
    if (fleet.unavailableReason !== null) return null;
    return fleet.verifiers.map(({ id, host, pid, version = null, startedAt, at }) => ({
      ...{ id, host, pid, version, startedAt, heartbeatAt: at },
    }));
  };
  return {
    onSecurityEvent: events.take,
    routes: (metricsText: () => Promise<string>) =>
      routesOf(new Feed({ report, verifiers, metricsText, events, now: clock.now })),
  };
}

/** For clients that may `read` all audiences. */
function routesOf(feed: Feed): FastifyPluginCallback<Pick<AppOptions, 'log'>> {
  return (app, { log }, done) => {
    const page = renderLive({ version: ownVersion(), report: null });
    const config = { right: 'read', concernsAllAudiences: true } as const;
    app.addHook('preClose', async () => feed.close());

    app.get('/dashboard', { config }, (request, reply) => {
      log(request, { status: 200, code: 'shown' });
      reply.headers(HEADERS).type('text/html; charset=utf-8').send(page);
    });

    app.get('/dashboard/events', { config, exposeHeadRoute: false }, (request, reply) => {
      if (isFromOtherSite(request)) throw forbidden('A page of another site cannot follow the dashboard.');
      if (feed.isFull) throw new JwtctlError('ERR_DASHBOARD_FULL', 'Too many browsers follow the dashboard.');
      log(request, { status: 200, code: 'followed' });
      reply.hijack();
      reply.raw.writeHead(200, {
        ...HEADERS,
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        // nginx would hold back events.
        'x-accel-buffering': 'no',
        'x-request-id': request.id,
      });
      feed.add(reply.raw);
    });
    done();
  };
}

/** A browser sends the password along, so such pages could use up the viewers. Other programs do not send the header. */
function isFromOtherSite({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  return site === 'cross-site' || site === 'same-site';
}

const HEADERS = {
  'content-security-policy': livePolicy,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};
