# Builds jwtctl from this folder. The image contains no compiler, tests, or secrets.

FROM node:24-bookworm-slim AS build
WORKDIR /opt/jwtctl
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.types.json LICENSE ./
COPY scripts scripts
COPY bin bin
COPY src src
RUN node scripts/build.mjs && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="jwtctl" \
      org.opencontainers.image.licenses="MIT"
# The server listens on loopback by default, which nothing outside the container could reach.
ENV NODE_ENV=production \
    JWTCTL_SERVE_HOST=0.0.0.0
WORKDIR /opt/jwtctl
COPY --from=build /opt/jwtctl/package.json /opt/jwtctl/LICENSE ./
COPY --from=build /opt/jwtctl/node_modules node_modules
COPY --from=build /opt/jwtctl/dist dist
COPY --from=build /opt/jwtctl/bin bin
COPY deploy/docker/healthcheck.mjs /opt/jwtctl/
RUN ln -s /opt/jwtctl/bin/jwtctl.js /usr/local/bin/jwtctl
WORKDIR /
# The account `node`, by its number: Kubernetes checks that it is not 0.
USER 1000:1000
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["node", "/opt/jwtctl/healthcheck.mjs", "/healthz"]
ENTRYPOINT ["jwtctl"]
CMD ["serve"]
