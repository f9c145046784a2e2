import type { FastifyInstance, RouteOptions } from 'fastify';
import type { Right } from '../config/serve-clients.js';
import { OPERATIONS } from './openapi-operations.js';

/** A route as a person reads it. */
export interface ListedRoute {
  /** `any` for every method. */
  method: string;
  path: string;
  purpose: string;
}

/** Collects the routes of plugins, which Fastify loads when the app gets ready or listens. */
export function collectRoutes(app: FastifyInstance): readonly RouteOptions[] {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => void routes.push(route));
  return routes;
}

/**
 * Lists the routes that somebody can use. Leaves out the second forms of routes, for subjects that a path cannot
 * carry.
 *
 * @param rights of all clients together
 * @param policies the names of the policies
 */
export function listRoutes(
  routes: readonly RouteOptions[],
  { rights, policies }: { rights: ReadonlySet<Right>; policies: readonly string[] },
): ListedRoute[] {
  return routes.flatMap(({ method, url, config }) =>
    [method].flat().flatMap((one) => {
      const operation = OPERATIONS[`${one} ${url}`];
      if (operation === undefined || operation.isForAnySubject === true) return [];
      if (config?.right !== undefined && !rights.has(config.right)) return [];
      const listed = { method: one, path: pathTemplate(url), purpose: operation.summary };
      return operation.id === 'verify' ? forEveryMethod(listed, policies) : [listed];
    }),
  );
}

function forEveryMethod(route: ListedRoute, policies: readonly string[]): ListedRoute[] {
  const any = { ...route, method: 'any' };
  if (policies.length === 0) return [any];
  const purpose = `The same, with a policy: ${policies.join(', ')}`;
  return [any, { ...any, path: `${route.path}/@NAME`, purpose }];
}

/** `/v1/users/{sub}` for `/v1/users/:sub` */
export function pathTemplate(url: string): string {
  return url.replace(/:(\w+)/g, '{$1}');
}
