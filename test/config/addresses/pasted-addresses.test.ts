import { describe, expect, it } from 'vitest';
import { mysqlUrl, nodes } from '../../../src/config/setting-kinds.js';
import { problemOf, readValue } from '../../../src/config/setting-values.js';
import { placesOf } from '../../../src/config/standard-paths.js';

const places = placesOf({}, { homeDir: '/home/ann' });
/** A part of every password below. */
const SECRET = 'hunter';

function mysql(raw: string): unknown {
  const read = readValue(mysqlUrl, raw, '/', places);
  if (read === null) return problemOf(mysqlUrl, raw, '/', places);
  const { 'mysql.password': password, 'mysql.tls.enabled': tls } = read.implied ?? {};
  const secret = password === undefined ? '' : `:${encodeURIComponent(String(password))}`;
  const url = String(read.value).replace('@', `${secret}@`);
  return tls === undefined ? url : [url, tls];
}

function redis(raw: unknown): unknown {
  const read = readValue(nodes, raw, '/', places);
  return read === null ? problemOf(nodes, raw, '/', places) : { nodes: read.value, ...read.implied };
}

const AT = 'mysql://app:hunter2@db.example:3306/jwt';

describe('an address of MySQL is understood', () => {
  it.each<[string, unknown]>([
    ['mysql://app@db.example/jwt', 'mysql://app@db.example/jwt'],
    [AT, AT],
    ['MySQL://app:hunter2@db.example:3306/jwt', AT],
    ['mariadb://app:hunter2@db.example:3306/jwt', 'mariadb://app:hunter2@db.example:3306/jwt'],
    // MySQL Shell, Aiven, DigitalOcean
    [`${AT}?ssl-mode=REQUIRED`, [AT, true]],
    [`${AT}?ssl-mode=VERIFY_CA`, [AT, true]],
    [`${AT}?ssl-mode=VERIFY_IDENTITY`, [AT, true]],
    [`${AT}?ssl-mode=DISABLED`, [AT, false]],
    [`${AT}?ssl-mode=PREFERRED`, AT],
    [`${AT}?ssl_mode=required`, [AT, true]],
    [`${AT}?sslmode=verify-full`, [AT, true]],
    [`${AT}?sslMode=verify-ca`, [AT, true]],
    [`${AT}?tls=true`, [AT, true]],
    [`${AT}?tls=true&tlsInsecureSkipVerify=false`, [AT, true]],
    [`${AT}?tls=preferred`, AT],
    [`${AT}?ssl=true`, [AT, true]],
    [`${AT}?ssl=0`, [AT, false]],
    // Prisma, mysql2, TiDB Cloud
    [`${AT}?sslaccept=strict`, [AT, true]],
    [`${AT}?ssl={"rejectUnauthorized":true}`, [AT, true]],
    [`${AT}?ssl={"minVersion":"TLSv1.2","rejectUnauthorized":true}`, [AT, true]],
    [`${AT}?ssl=%7B%22rejectUnauthorized%22%3Atrue%7D`, [AT, true]],
    // Prisma, Laravel, Rails, Doctrine, Django
    [`${AT}?connection_limit=5&pool_size=3`, AT],
    [`${AT}?charset=utf8mb4&collation=utf8mb4_unicode_ci`, AT],
    [`${AT}?serverVersion=8.0.31&charset=utf8mb4`, AT],
    ['mysql2://app:hunter2@db.example:3306/jwt?encoding=utf8mb4&pool=5', AT],
    ['trilogy://app:hunter2@db.example:3306/jwt', AT],
    // A scheme that demands TLS
    ['mysqls://app:hunter2@db.example:3306/jwt', [AT, true]],
    ['mysql+ssl://app:hunter2@db.example:3306/jwt', [AT, true]],
    ['mysql+tls://app:hunter2@db.example:3306/jwt?ssl-mode=REQUIRED', [AT, true]],
    ['pdo_mysql://app:hunter2@db.example:3306/jwt', AT],
    ['mysql.connector://app:hunter2@db.example:3306/jwt?ssl_disabled=True', [AT, false]],
    [`${AT}?ssl_disabled=False`, AT],
    ['mysql://app@db.example./jwt', 'mysql://app@db.example./jwt'],
    ['pdo-mysql://app:hunter2@db.example:3306/jwt', AT],
    ['mysqli://app:hunter2@db.example:3306/jwt?persistent=true', AT],
    // SQLAlchemy, Airflow
    ['mysql+pymysql://app:hunter2@db.example:3306/jwt?charset=utf8mb4', AT],
    ['mysql+mysqldb://app:hunter2@db.example:3306/jwt', AT],
    ['mysql+mysqlconnector://app:hunter2@db.example:3306/jwt', AT],
    ['mysql+aiomysql://app:hunter2@db.example:3306/jwt', AT],
    [
      'mariadb+mariadbconnector://app:hunter2@db.example:3306/jwt',
      'mariadb://app:hunter2@db.example:3306/jwt',
    ],
    // JDBC
    ['jdbc:mysql://db.example:3306/jwt?user=app&password=hunter2', AT],
    ['jdbc:mysql://app:hunter2@db.example:3306/jwt?useSSL=true&requireSSL=true', [AT, true]],
    [
      'jdbc:mysql://db.example:3306/jwt?user=app&password=hunter2&useSSL=false&serverTimezone=UTC',
      [AT, false],
    ],
    [
      'jdbc:mysql://db.example:3306/jwt?useSSL=true&verifyServerCertificate=true&user=app&password=hunter2',
      [AT, true],
    ],
    [
      'jdbc:mariadb://db.example:3306/jwt?user=app&password=hunter2&sslMode=verify-full',
      ['mariadb://app:hunter2@db.example:3306/jwt', true],
    ],
    ['jdbc:aws-wrapper:mysql://db.example:3306/jwt?user=app&password=hunter2', AT],
    ['jdbc:mysql:aws://db.example:3306/jwt?user=app&password=hunter2', AT],
    ['jdbc:p6spy:mysql://db.example:3306/jwt?user=app&password=hunter2', AT],
    // R2DBC
    ['r2dbc:mysql://app:hunter2@db.example:3306/jwt', AT],
    ['r2dbc:pool:mysql://app:hunter2@db.example:3306/jwt', AT],
    ['r2dbcs:mysql://app:hunter2@db.example:3306/jwt', [AT, true]],
    ['r2dbc:mariadb://app:hunter2@db.example:3306/jwt', 'mariadb://app:hunter2@db.example:3306/jwt'],
    // Go
    ['app:hunter2@tcp(db.example:3306)/jwt', AT],
    ['app:hunter2@tcp(db.example:3306)/jwt?tls=true&parseTime=true&loc=Local', [AT, true]],
    ['app:hunter2@(db.example:3306)/jwt', AT],
    ['app:hunter2@/jwt', 'mysql://app:hunter2@127.0.0.1:3306/jwt'],
    ['app:hunter2@tcp([2001:db8::1]:3306)/jwt', 'mysql://app:hunter2@[2001:db8::1]:3306/jwt'],
    ['app:hunter%41@/@tcp(db.example:3306)/jwt', 'mysql://app:hunter%2541%40%2F@db.example:3306/jwt'],
    [
      'app@unix(/run/mysqld/mysqld.sock)/jwt',
      'mysql://app@localhost/jwt?socket=%2Frun%2Fmysqld%2Fmysqld.sock',
    ],
    ['mysql://app:hunter2@tcp(db.example:3306)/jwt', AT],
    // PDO, ADO.NET
    ['mysql:host=db.example;port=3306;dbname=jwt;user=app;password=hunter2;charset=utf8mb4', AT],
    ['Server=db.example;Port=3306;Database=jwt;Uid=app;Pwd=hunter2;', AT],
    [
      'Server=db.example;Port=3306;Database=jwt;Uid=app;Pwd=hunter2;Pooling=true;AllowUserVariables=True;Convert Zero Datetime=True',
      AT,
    ],
    [
      'Driver={MySQL ODBC 8.0 Unicode Driver};Server=db.example;Port=3306;Database=jwt;User=app;Password=hunter2;Option=3;',
      AT,
    ],
    [
      'Server="db.example"; Port=3306; Database="jwt"; Uid="app"; Pwd="hunter2"; SslMode=Required;',
      [AT, true],
    ],
    // Sockets
    [
      'mysql://app@localhost/jwt?socket=/run/mysqld/mysqld.sock',
      'mysql://app@localhost/jwt?socket=%2Frun%2Fmysqld%2Fmysqld.sock',
    ],
    ['mysql://app@/jwt?unix_socket=/tmp/mysql.sock', 'mysql://app@localhost/jwt?socket=%2Ftmp%2Fmysql.sock'],
    [
      'jdbc:mariadb://localhost/jwt?localSocket=/tmp/m.sock&user=app',
      'mariadb://app@localhost/jwt?socket=%2Ftmp%2Fm.sock',
    ],
    // IPv6, and users with an @ (Azure)
    ['mysql://app:hunter2@[2001:db8::1]/jwt', 'mysql://app:hunter2@[2001:db8::1]/jwt'],
    ['mysql://app@server:hunter2@db.example/jwt', 'mysql://app%40server:hunter2@db.example/jwt'],
    // Passwords as they are
    ['mysql://app:hunter@2@db.example/jwt', 'mysql://app:hunter%402@db.example/jwt'],
    ['mysql://app:hunter/2@db.example/jwt', 'mysql://app:hunter%2F2@db.example/jwt'],
    ['mysql://app:hunter#2@db.example/jwt', 'mysql://app:hunter%232@db.example/jwt'],
    ['mysql://app:hunter?2@db.example/jwt', 'mysql://app:hunter%3F2@db.example/jwt'],
    ['mysql://app:hunter:2@db.example/jwt', 'mysql://app:hunter%3A2@db.example/jwt'],
    ['mysql://app:hunter2%@db.example/jwt', 'mysql://app:hunter2%25@db.example/jwt'],
    ['mysql://app:b@66@c#2*2chunter@db.example/jwt', 'mysql://app:b%4066%40c%232*2chunter@db.example/jwt'],
    ['mysql://app:hunter%402@db.example/jwt', 'mysql://app:hunter%402@db.example/jwt'],
    ['mysql://app:hunter2$$x@db.example/jwt', 'mysql://app:hunter2%24%24x@db.example/jwt'],
    [
      "mysql://app:hunter2~!@$^&*()_-+={}[]<>,.;':|@db.example/jwt",
      `mysql://app:${encodeURIComponent("hunter2~!@$^&*()_-+={}[]<>,.;':|")}@db.example/jwt`,
    ],
    [
      'server=db.example;database=jwt;userid=app;password=hunter2@66@c#22c',
      'mysql://app:hunter2%4066%40c%2322c@db.example/jwt',
    ],
    ['mysql://app:hunter+2@db.example/jwt', 'mysql://app:hunter%2B2@db.example/jwt'],
  ])('%s', (raw, expected) => {
    expect(mysql(raw)).toEqual(expected);
  });
});

describe('an address of MySQL is refused by the part that is wrong', () => {
  it.each<[string, RegExp]>([
    ['mysql://app:hunter%402#@db.example/jwt', /password that is only partly percent-encoded/],
    ['mysql://app:hunter@a/b?c=d@db.example/jwt', /more than one @/],
    ['mysql://app@db.example/jwtmysql://app@other.example/jwt', /two addresses/],
    ['mysql://app:hunter2@db.example/jwtmariadb://app:hunter2@other.example/jwt', /two addresses/],
    ['mysql://app:hunter2@db.example', /names no database/],
    ['mysql://app:hunter2@db.example:3306', /names no database/],
    ['mysql://db.example/jwt', /has no user/],
    ['jdbc:mysql://db.example:3306/jwt', /has no user; add \?user=/],
    ['mysql:host=db.example;dbname=jwt', /has no user/],
    ['mysql://app:hunter2@/jwt', /names no host/],
    ['mysql://app:hunter2@db.example:port/jwt', /port/],
    ['mysql://app:hunter2@::1/jwt', /IPv6 address without brackets/],
    ['mysql://app:hunter2@a:3306,b:3306/jwt', /several servers/],
    ['jdbc:mysql:loadbalance://a,b/jwt', /several servers/],
    ['jdbc:mysql:replication://a,b/jwt', /several servers/],
    ['jdbc:mariadb:sequential://a,b/jwt?user=app&password=hunter2', /several servers/],
    ['jdbc:aws-wrapper:mysql://db.example/jwt', /has no user; add \?user=/],
    ['jdbc:aws-wrapper:mysql://db.example/jwt?user=app&wrapperPlugins=iam', /set mysql.passwordCommand/],
    ['mysql://tcp://db.example:3306/jwt', /has two schemes/],
    ['jdbc:tc:mysql:8.0.36:///jwt', /Testcontainers/],
    ['r2dbcs:mysql://app:hunter2@db.example/jwt?sslMode=disabled', /both on and off/],
    [`${AT},`, /ends with a comma or a semicolon/],
    [`${AT};`, /ends with a comma or a semicolon/],
    [
      'mysql://app:<password>@db.example/jwt',
      /placeholder such as <…>; write its value, or set mysql.passwordFile if/,
    ],
    [`mysql://app:${'$'}{DB_PASS}@db.example/jwt`, /placeholder such as \$\(…\)/],
    ['mysql://app:$(DB_PASS)@db.example/jwt', /placeholder/],
    ['mysql://app:$DB_PASS@db.example/jwt', /placeholder/],
    ['mysql://app:%DB_PASS%@db.example/jwt', /placeholder/],
    ['mysql://app:{{ db_password }}@db.example/jwt', /placeholder such as \{\{ … \}\}/],
    ['mysql://app:[YOUR-PASSWORD]@db.example/jwt', /placeholder such as \[…\]/],
    ['mysql://app:CHANGEME@db.example/jwt', /placeholder such as CHANGEME/],
    ['mysql://app:YOUR_PASSWORD@db.example/jwt', /placeholder such as CHANGEME/],
    ['mysql://app:************@db.example/jwt', /placeholder/],
    ['jdbc:mysql://<HOST>:3306/jwt?user=app', /placeholder/],
    ['Server=db.example;Database=jwt;Uid=app;Pwd=****;', /placeholder/],
    ['app:hunter2@tcp(db.example:3306)/', /names no database/],
    ['dbi:mysql:database=jwt;host=db.example', /has no user/],
    ['jdbc:postgresql://db.example/jwt', /is for postgresql/],
    ['postgres://app:hunter2@db.example/jwt', /is for postgres/],
    ['sqlite:///var/lib/x.db', /is for sqlite/],
    ['mongodb+srv://app:hunter2@db.example/jwt', /is for mongodb/],
    ['mysqlx://app:hunter2@db.example:33060/jwt', /X Protocol/],
    ['mysqlx+srv://app:hunter2@db.example/jwt', /X Protocol/],
    ['mysql+ssl://app:hunter2@db.example/jwt?ssl-mode=DISABLED', /both on and off/],
    ['mysql+ssh://app:hunter2@db.example/jwt', /SSH tunnel/],
    ['mysql+unix://app:hunter2@db.example/jwt', /Unix socket; write .*\?socket=/],
    ['/run/mysqld/mysqld.sock', /Unix socket; write .*\?socket=/],
    ['unix:///run/mysqld/mysqld.sock', /Unix socket; write .*\?socket=/],
    ['postgresql+psycopg2://app:hunter2@db.example/jwt', /is for postgresql;/],
    ['redis+tls://:hunter2@cache.example', /set redis.nodes/],
    ['rediss-cluster://:hunter2@cache.example', /set redis.nodes/],
    [`${AT} --ssl-mode=REQUIRED`, /flags of a command line after the address.*\?ssl-mode=REQUIRED/],
    ['--host=db.example --user=app', /command line/],
    ['mysqlsh app:hunter2@db.example', /command line/],
    ['mysql:app:hunter2@db.example/jwt', /scheme that does not end in :\/\//],
    ['mysql:/app:hunter2@db.example/jwt', /scheme that does not end in :\/\//],
    ['host=db.example dbname=jwt user=app password=hunter2', /spaces between its values/],
    ['project:region:instance', /Cloud SQL/],
    ['$DATABASE_URL', /placeholder/],
    ['mysql://app:hunter2@10.0.0/jwt', /not a complete IPv4 address/],
    ['mysql://app:hunter2@db..example/jwt', /two dots in a row/],
    ['mysql://app:hunter2@db.example/..', /dots in place of the database's name/],
    ['rediss://:hunter2@cache.example:6379', /set redis.nodes/],
    ['https://db.example/jwt', /web address/],
    ['db.example:3306', /is not a URL/],
    ['app:hunter2@db.example/jwt', /is not a URL/],
    ['app:hunter2@cloudsql(p:r:i)/jwt', /Cloud SQL/],
    ['mysql -h db.example -u app -phunter2 jwt', /command line/],
    ['{"username":"app","password":"hunter2"}', /is JSON/],
    ['arn:aws:rds:eu-west-1:1:db:x', /is an ARN/],
    ['arn:aws:secretsmanager:eu-west-1:1:secret:x', /is an ARN/],
    ['"mysql://app:hunter2@db.example/jwt"', /is in quotes/],
    ['DATABASE_URL=mysql://app:hunter2@db.example/jwt', /begins with the name of a variable/],
    [`${AT}?ssl_ca=/etc/ca.pem`, /parameter ssl_ca; set mysql.tls.ca/],
    [`${AT}?sslcert=/etc/c.pem`, /set mysql.tls.cert/],
    [`${AT}?ssl-key=/etc/k.pem`, /set mysql.tls.key/],
    [`${AT}?sslMode=VERIFY_CA&trustCertificateKeyStoreUrl=file:///x`, /set mysql.tls.ca/],
    [`${AT}?connect_timeout=5`, /set timeout/],
    [`${AT}?tls=skip-verify`, /turns off the check/],
    [`${AT}?sslaccept=accept_invalid_certs`, /turns off the check/],
    [`${AT}?ssl={"rejectUnauthorized":false}`, /turns off the check/],
    [`${AT}?verifyServerCertificate=false&useSSL=true`, /turns off the check/],
    [`${AT}?trustServerCertificate=true`, /turns off the check/],
    [`${AT}?ssl=Amazon+RDS`, /unknown value of ssl/],
    [`${AT}?sslMode=DISABLED&useSSL=true`, /both on and off/],
    [`${AT}?hunter2=1`, /a parameter that jwtctl does not know/],
    // A password with a semicolon.
    ['Server=h;Uid=app;Pwd=a;hunterdiamond=1;Database=jwt', /a parameter that jwtctl does not know/],
    ['Server=h;Uid=app;Pwd=a;hunter_timeout=1;Database=jwt', /set timeout/],
    ['Server=h;Uid=app;Pwd=a;hunterTrustStore=1;Database=jwt', /set mysql.tls.ca/],
    [`${AT}?useIAM=true`, /parameter useIAM; set mysql.passwordCommand/],
    [`${AT}?tlsInsecureSkipVerify=true`, /turns off the check/],
    [`${AT}#hunter`, /# outside the password/],
    [`${AT}?socket=mysql.sock`, /socket that is not an absolute path/],
    ['mysql://app:hunter2@db.example/jwt?password=hunter3', /two different values for the password/],
    ['mysql://app:hunter2@db.example/jwt\n', /line break/],
    [' mysql://app:hunter2@db.example/jwt', /space/],
  ])('%j', (raw, problem) => {
    expect(mysql(raw)).toMatch(problem);
    expect(mysql(raw)).not.toContain(SECRET);
  });
});

const node = (host: string, port = 6379) => ({ host, port });
const LOGIN = { 'redis.username': 'app', 'redis.password': 'hunter2' };
const TLS = { 'redis.tls.enabled': true };
const SENTINELS = {
  nodes: [node('a', 26379), node('b', 26379)],
  ...{ 'redis.mode': 'sentinel', 'redis.sentinelMaster': 'm' },
};

describe('an address of Redis is understood', () => {
  it.each<[unknown, object]>([
    ['a:1,b:2,', { nodes: [node('a', 1), node('b', 2)] }],
    ['a:1 b:2', { nodes: [node('a', 1), node('b', 2)] }],
    ['a:1; b:2;', { nodes: [node('a', 1), node('b', 2)] }],
    ['a:1\nb:2\n', { nodes: [node('a', 1), node('b', 2)] }],
    ['redis://a:1 redis://b:2', { nodes: [node('a', 1), node('b', 2)] }],
    ['redis://a:1,redis://b:2,', { nodes: [node('a', 1), node('b', 2)] }],
    // CLUSTER NODES, and addresses with a path
    ['10.0.0.1:7000@17000,10.0.0.2:7000@17000', { nodes: [node('10.0.0.1', 7000), node('10.0.0.2', 7000)] }],
    ['cache.example:6379/0', { nodes: [node('cache.example')] }],
    // ioredis, and JSON of an environment
    ['[{"host":"a","port":1},{"host":"::1","port":"2"}]', { nodes: [node('a', 1), node('::1', 2)] }],
    ['["a:1", "b:2"]', { nodes: [node('a', 1), node('b', 2)] }],
    // PHP, Symfony
    [
      'tcp://cache.example:6379?auth=hunter2',
      { nodes: [node('cache.example')], 'redis.password': 'hunter2' },
    ],
    ['redis:app:hunter2@?host[a:1]&host[b:2]', { nodes: [node('a', 1), node('b', 2)], ...LOGIN }],
    // go-redis, pomerium
    ['redis://a:1?addr=b:2&addr=c:3', { nodes: [node('a', 1), node('b', 2), node('c', 3)] }],
    [
      'redis://:hunter2@a:1?host[b:2]&cluster=predis',
      { nodes: [node('a', 1), node('b', 2)], 'redis.password': 'hunter2' },
    ],
    ['redis:?host[[::1]:7000]', { nodes: [node('::1', 7000)] }],
    ['rediscluster://a:1', { nodes: [node('a', 1)], 'redis.mode': 'cluster' }],
    ['redis+clusters://a:1', { nodes: [node('a', 1)], 'redis.mode': 'cluster', ...TLS }],
    ['rediss+cluster://a:1', { nodes: [node('a', 1)], 'redis.mode': 'cluster', ...TLS }],
    ['redis:?host[a:1]&host[b:2]&redis_cluster=1', { nodes: [node('a', 1), node('b', 2)] }],
    ['a:1, b', { nodes: [node('a', 1), node('b')] }],
    ['[2001:db8::1]:7000', { nodes: [node('2001:db8::1', 7000)] }],
    [['a:1', 'b:2'], { nodes: [node('a', 1), node('b', 2)] }],
    ['redis://cache.example', { nodes: [node('cache.example')] }],
    ['redis://cache.example:7000/', { nodes: [node('cache.example', 7000)] }],
    ['redis://cache.example:6379/0', { nodes: [node('cache.example')] }],
    ['redis://app:hunter2@cache.example', { nodes: [node('cache.example')], ...LOGIN }],
    ['redis://:hunter2@cache.example', { nodes: [node('cache.example')], 'redis.password': 'hunter2' }],
    // Heroku, Upstash, Aiven, DigitalOcean
    [
      'rediss://default:hunter2@cache.example:25061',
      { nodes: [node('cache.example', 25061)], ...LOGIN, ...TLS, 'redis.username': 'default' },
    ],
    [
      'rediss://app:hunter%2F2@cache.example',
      { nodes: [node('cache.example')], ...LOGIN, ...TLS, 'redis.password': 'hunter/2' },
    ],
    [
      'rediss://app:hunter/2@cache.example',
      { nodes: [node('cache.example')], ...LOGIN, ...TLS, 'redis.password': 'hunter/2' },
    ],
    [
      'redis://app:hunter,2@cache.example',
      { nodes: [node('cache.example')], ...LOGIN, 'redis.password': 'hunter,2' },
    ],
    ['redis://app:hunter2@[::1]:7000', { nodes: [node('::1', 7000)], ...LOGIN }],
    // redis-py, Celery, Lettuce, Jedis, StackExchange
    ['redis://app:hunter2@cache.example?protocol=3', { nodes: [node('cache.example')], ...LOGIN }],
    [
      'rediss://app:hunter2@cache.example/0?ssl_cert_reqs=required',
      { nodes: [node('cache.example')], ...LOGIN, ...TLS },
    ],
    [
      'redis://cache.example?password=hunter2&db=0',
      { nodes: [node('cache.example')], 'redis.password': 'hunter2' },
    ],
    ['redis://cache.example?tls=true', { nodes: [node('cache.example')], ...TLS }],
    ['redis+tls://cache.example', { nodes: [node('cache.example')], ...TLS }],
    ['cache.example.:6379', { nodes: [node('cache.example.')] }],
    ['redis:6379', { nodes: [node('redis')] }],
    // Several
    ['redis://a:1,redis://b:2', { nodes: [node('a', 1), node('b', 2)] }],
    ['rediss://app:hunter2@a:1,b:2', { nodes: [node('a', 1), node('b', 2)], ...LOGIN, ...TLS }],
    ['redis-cluster://a:1,b:2', { nodes: [node('a', 1), node('b', 2)], 'redis.mode': 'cluster' }],
    [['redis://a:1', 'redis://b:2'], { nodes: [node('a', 1), node('b', 2)] }],
    // Sentinels: Lettuce, redis-py's libraries, asynq, Celery
    ['redis-sentinel://a:26379,b/0?sentinelMasterId=m', SENTINELS],
    ['redis-sentinel://a:26379,b/0#m', SENTINELS],
    ['redis+sentinel://a:26379,b:26379/m/0', SENTINELS],
    ['redis+sentinel://a,b/0?service_name=m', SENTINELS],
    ['redis-sentinel://a,b?master=m', SENTINELS],
    ['redis-sentinel://a,redis-sentinel://b', { ...SENTINELS, 'redis.sentinelMaster': undefined }],
    ['sentinel://a:26379;sentinel://b:26379;', { ...SENTINELS, 'redis.sentinelMaster': undefined }],
    ['redis-sentinel://app:hunter2@a,b#m', { ...SENTINELS, ...LOGIN }],
    ['redis-sentinel://:hunter%232@a,b#m', { ...SENTINELS, 'redis.password': 'hunter#2' }],
    ['redis-sentinel://:hunter#2@a,b?sentinelMasterId=m', { ...SENTINELS, 'redis.password': 'hunter#2' }],
    ['rediss-sentinel://a,b#m', { ...SENTINELS, ...TLS }],
    ['rediss+sentinel://a,b/m', { ...SENTINELS, ...TLS }],
    // Docker, Predis, Valkey
    ['tcp://cache.example:6379', { nodes: [node('cache.example')] }],
    ['tls://cache.example:6380', { nodes: [node('cache.example', 6380)], ...TLS }],
    ['valkey://cache.example', { nodes: [node('cache.example')] }],
    ['valkeys://cache.example', { nodes: [node('cache.example')], ...TLS }],
  ])('%j', (raw, expected) => {
    expect(redis(raw)).toEqual(expected);
  });
});

describe('an address of Redis is refused by the part that is wrong', () => {
  it.each<[unknown, RegExp]>([
    ['redis://hunter2@cache.example', /one word before the @/],
    ['redis://cache.example/1', /selects database 1, .* remove \/1 /],
    ['redis://cache.example?db=5', /selects database 5, .* remove db=5 /],
    ['rediss://cache.example?ssl_cert_reqs=none', /turns off the check/],
    ['rediss://cache.example?ssl_ca_certs=/ca.pem', /set redis.tls.ca/],
    ['redis://cache.example?socket_timeout=3', /set timeout/],
    ['redis://cache.example?timeout=10s', /set timeout/],
    ['redis://cache.example?hunter2=1', /a parameter that jwtctl does not know/],
    ['redis-sentinel://app:hunter2@a:26379/m', /redis.passwordFile or redis.sentinelPasswordFile/],
    ['redis-sentinel://:hunter2@a:26379?master=m', /redis.passwordFile or redis.sentinelPasswordFile/],
    ['redis+sentinel://a:26379/m?password=hunter2', /redis.passwordFile or redis.sentinelPasswordFile/],
    ['redis-sentinel://hunter2@a:26379#m', /one word before the @/],
    ['redis-sentinel://a:26379/1#m', /selects database 1/],
    ['redis+sentinel://a:26379/m/1', /selects database 1/],
    ['redis://tls://cache.example:6379?password=hunter2', /has two schemes/],
    ['redis-cli -h cache.example -a hunter2', /command line/],
    ['[{"host":"a","port":1,"password":"hunter2"}]', /JSON that is not a list of hosts and ports/],
    ['[{"url":"redis://:hunter2@a"}]', /JSON that is not a list of hosts and ports/],
    ['["a:1"', /JSON that is not a list of hosts and ports/],
    [
      'redis://:<password>@cache.example',
      /placeholder such as <…>; write its value, or set redis.passwordFile/,
    ],
    [`rediss://default:${'$'}{REDIS_PASSWORD}@cache.example`, /placeholder/],
    ['redis://cache.example?prefix=app:', /set redis.prefix/],
    ['redis:?host[a:1]&redis_sentinel=m', /set redis.mode to sentinel and redis.sentinelMaster/],
    ['redis:?host[/run/redis.sock:]', /Unix socket/],
    ['redis://a:1?addr=hunter2:x', /port/],
    ['cache.example:6379/2', /selects database 2/],
    ['redis-sentinel://a:26379/m#other', /two different names for the master/],
    ['redis-sentinel://a/m,redis-sentinel://b/n', /must agree/],
    ['redis-sentinel://a,redis://b', /must agree/],
    ['redis://a:26379?sentinelMasterId=m', /set redis.mode to sentinel and redis.sentinelMaster/],
    ['redis://a:26379?sentinel_master_name=m', /set redis.mode to sentinel and redis.sentinelMaster/],
    ['redis://a:26379#m', /does not have the form/],
    ['redis-cluster-sentinel://a:26379', /does not begin with redis:/],
    ['redis-socket:///run/redis.sock', /Unix socket/],
    ['redis:///var/run/redis.sock', /Unix socket/],
    ['unix:///run/redis.sock', /Unix socket/],
    ['/run/redis/redis.sock', /Unix socket/],
    ['https://x.upstash.io', /web address/],
    ['redis+srv://:hunter2@cache.example', /SRV records/],
    ['_redis._tcp.cache.example', /SRV records/],
    ['redis+tls', /scheme without an address/],
    ['redis+ssh://:hunter2@cache.example', /SSH tunnel/],
    ['redis:/cache.example', /scheme that does not end in :\/\//],
    ['redis//cache.example', /scheme that does not end in :\/\//],
    ['redis:://:hunter2@cache.example', /scheme that does not end in :\/\//],
    ['rediss:cache.example', /scheme that does not end in :\/\//],
    ['memcached://cache.example', /is for memcached; jwtctl needs Redis or Valkey/],
    ['mongodb+srv://app:hunter2@db.example', /is for mongodb;/],
    ['127.0.0.1 6379', /no colon between the host and the port/],
    ['127.0.0.1;6379', /no colon between the host and the port/],
    ['localhost,6379', /port without a host/],
    [':6379', /port without a host/],
    ['10.0.0:6379', /not a complete IPv4 address/],
    ['999.1.1.1', /not a complete IPv4 address/],
    ['cache..example:6379', /two dots in a row/],
    ['../redis.sock', /Unix socket/],
    ['--nodes cache.example', /command line/],
    ['redis://:hunter2@cache.example --tls', /flags of a command line.*rediss:/],
    ['$REDIS_URL', /placeholder/],
    ['mysql://app:hunter2@db/jwt', /set mysql.url/],
    ['amqp://app:hunter2@mq', /does not begin with redis:/],
    ['arn:aws:elasticache:eu-west-1:1:cluster:x', /is an ARN/],
    ['x.redis.cache.windows.net:6380,password=hunter2,ssl=True', /options of another library/],
    ['spring.data.redis.cluster.nodes=a:1', /options of another library/],
    ['REDIS_URL=redis://:hunter2@a', /begins with the name of a variable/],
    [':hunter2@cache.example:6379', /password without a scheme/],
    ['"redis://cache.example"', /is in quotes/],
    ['2001:db8::1', /IPv6 address without brackets/],
    ['redis://2001:db8::1', /IPv6 address without brackets/],
    ['cache.example:hunter2', /port/],
    ['redis://cache.example:0', /port/],
    ['redis://a:1,rediss://b:2', /must agree/],
    ['redis://:hunter2@a,redis://:hunter3@b', /must agree/],
    [['redis://a', 'b:1'], /mixes URLs and host:port/],
    ['redis://', /names no host/],
  ])('%j', (raw, problem) => {
    expect(redis(raw)).toMatch(problem);
    expect(redis(raw)).not.toContain(SECRET);
  });
});
