#!/bin/sh
# Creates the passwords, the master key, and the certificates of compose.yaml below the folder $1, unless they exist.
# Each subfolder is a volume that only its services mount. The files belong to root and to the group of these services:
# 999 is the group of MySQL and Redis in their images, and 1000 is that of jwtctl.
set -eu
umask 027
cd "$1"

if [ -e admin/complete ]; then
  echo 'The secrets already exist.'
  exit 0
fi

secret() { openssl rand -hex 24; }
# An ACL file of Redis holds digests only.
digest() { printf '%s' "$1" | openssl dgst -sha256 -r | cut -d ' ' -f 1; }

mysql_root=$(secret)
mysql_admin=$(secret)
mysql_jwtctl=$(secret)
redis_admin=$(secret)
redis_jwtctl=$(secret)

# One CA and one certificate for all servers. SERVER_NAMES lists their names and addresses.
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=jwtctl compose CA' \
  -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj '/CN=jwtctl stores' -keyout server.key -out server.csr 2>/dev/null
printf 'subjectAltName = %s\n' "$SERVER_NAMES" > server.ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
  -extfile server.ext -out server.pem 2>/dev/null

printf '%s\n' "$mysql_root" > mysql/root-password
printf '%s\n' "$mysql_admin" > mysql/admin-password
printf '%s\n' "$mysql_jwtctl" > mysql/jwtctl-password
printf '[client]\nuser=root\npassword=%s\n' "$mysql_root" > mysql/client.cnf

printf '%s\n' "$redis_admin" > redis/admin-password
printf 'masteruser admin\nmasterauth %s\n' "$redis_admin" > redis/redis.conf
{
  echo 'user default off'
  echo "user admin on #$(digest "$redis_admin") ~* &* +@all"
  echo "user jwtctl on #$(digest "$redis_jwtctl") $(cat "$REDIS_RULES")"
} > redis/users.acl

printf '%s\n' "$mysql_admin" > admin/mysql-password
for folder in admin jwtctl; do
  printf '%s\n' "$redis_jwtctl" > "$folder/redis-password"
done
printf '%s\n' "$mysql_jwtctl" > jwtctl/mysql-password
openssl rand -base64 32 > jwtctl/master.key
cp jwtctl/master.key admin/master.key

for folder in admin jwtctl mysql redis; do cp ca.pem "$folder/"; done
for folder in mysql redis; do cp server.pem server.key "$folder/"; done
# Without its key, the CA cannot sign certificates of other servers.
rm -f ca.key ca.srl ca.pem server.*

chmod 750 admin jwtctl mysql redis
chmod 440 admin/* jwtctl/* mysql/* redis/*
chown -R 0:999 mysql redis
chown -R 0:1000 admin jwtctl
touch admin/complete
echo 'The secrets have been created.'
