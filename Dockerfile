# syntax=docker/dockerfile:1
# docker build -t switchboard . && docker run -p 8787:8787 -e JWT_SECRET="$(openssl rand -base64 48)" -v switchboard:/data switchboard

FROM node:24-bookworm-slim AS build
WORKDIR /switchboard
# What is installed changes less often than the sources: this layer is kept until then.
COPY package.json package-lock.json .npmrc ./
COPY packages/protocol/package.json packages/protocol/
COPY packages/server/package.json packages/server/
RUN npm ci --include=dev --workspace @switchboard/protocol --workspace @switchboard/server --include-workspace-root
COPY tsconfig.base.json ./
COPY packages/protocol packages/protocol
COPY packages/server packages/server
RUN node node_modules/typescript/bin/tsc -b packages/server && node packages/server/bundle.mjs
# Node.js 24 has SQLite built in, so the optional driver stays out.
RUN npm ci --omit=dev --omit=optional --workspace @switchboard/protocol --workspace @switchboard/server \
  && rm -rf packages/*/src packages/*/tsconfig.json packages/*/bundle.mjs \
  && find packages -name '*.map' -delete -o -name '.tsbuildinfo' -delete

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
  HOST=0.0.0.0 \
  PORT=8787 \
  DATA_DIR=/data \
  DATABASE_URL=sqlite:/data/switchboard.db
WORKDIR /switchboard
COPY --from=build /switchboard/node_modules node_modules
COPY --from=build /switchboard/packages packages
RUN install -d -o node -g node -m 0700 /data
# Everything else may be read-only: docker run --read-only.
VOLUME /data
USER node
EXPOSE 8787
# Whether the process is well, not the database: a restart of this container would not mend that one.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/switchboard/packages/server/bin/switchboard.js"]
CMD ["start"]
