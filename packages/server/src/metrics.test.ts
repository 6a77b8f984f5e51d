import { expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';

test('two instances in one process count apart', async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.connections.inc({ type: 'admin' });
  one.requests.observe({ method: 'GET', route: '/sessions', status: '200' }, 0.02);
  expect(await one.registry.metrics()).toContain('switchboard_connections{type="admin"} 1');
  expect(await one.registry.metrics()).toContain(
    'switchboard_request_seconds_count{method="GET",route="/sessions",status="200"} 1',
  );
  expect(await other.registry.metrics()).not.toContain('type="admin"');
});

test('the figures of the process are included', async () => {
  const text = await createMetrics().registry.metrics();
  expect(text).toContain('process_cpu_seconds_total');
  expect(text).toContain('nodejs_eventloop_lag_seconds');
});

test('every metric of our own is named and explained in one style', () => {
  const { registry, ...metrics } = createMetrics();
  const own = registry.getMetricsAsArray().filter(({ name }) => name.startsWith('switchboard_'));
  expect(own).toHaveLength(Object.keys(metrics).length);
  for (const { name, help } of own) {
    expect(name).toMatch(/^switchboard_[a-z_]+$/);
    expect(help).toMatch(/^[A-Z].*[^.]$/);
  }
});
