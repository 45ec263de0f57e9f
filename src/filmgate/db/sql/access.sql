-- name: add_token
insert into access_tokens (token_id, user_name, scope, secret_sha256, note, expires_at, asset_id,
                           created_by)
values (%(token_id)s, %(user)s, %(scope)s, %(secret_sha256)s, %(note)s,
        now() + make_interval(secs => %(lasts_s)s::double precision), %(asset_id)s,
        %(created_by)s)
returning *;

-- name: token
select *, revoked_at is null and (expires_at is null or expires_at > now()) as is_good
  from access_tokens where token_id = %(token_id)s;

-- name: tokens
select * from access_tokens order by created_at desc, token_id;

-- name: shares
select * from access_tokens where asset_id = %(asset_id)s order by created_at desc, token_id;

-- name: has_admin
select exists (select from access_tokens
                where scope = 'admin' and revoked_at is null
                  and (expires_at is null or expires_at > now())) as found;

-- name: revoke
update access_tokens set revoked_at = coalesce(revoked_at, now())
 where token_id = %(token_id)s
returning *;

-- name: revoke_share
update access_tokens set revoked_at = coalesce(revoked_at, now())
 where token_id = %(token_id)s and asset_id = %(asset_id)s
returning *;

-- name: touch_token
update access_tokens set last_used_at = now()
 where token_id = %(token_id)s
   and (last_used_at is null or last_used_at < now() - interval '1 minute');

-- name: add_link
insert into access_links (code_sha256, user_name, scope, expires_at)
values (%(code_sha256)s, %(user)s, %(scope)s, now() + make_interval(secs => %(lasts_s)s));

-- name: use_link
delete from access_links where code_sha256 = %(code_sha256)s
returning user_name, scope, expires_at > now() as is_good;

-- name: add_session
insert into access_sessions (session_sha256, session_id, user_name, scope, csrf, token_id, address,
                             expires_at)
values (%(session_sha256)s, %(session_id)s, %(user)s, %(scope)s, %(csrf)s, %(token_id)s,
        %(address)s, now() + make_interval(secs => %(lifetime_s)s));

-- name: end_oldest_sessions
-- Keep the newest sessions of a user.
delete from access_sessions
 where session_id in (select session_id from access_sessions where user_name = %(user)s
                       order by created_at desc, session_id offset %(kept)s);

-- name: session
select s.*, least(s.expires_at, s.created_at + make_interval(secs => %(lifetime_s)s), t.expires_at)
       as ends_at,
       least(s.expires_at, s.created_at + make_interval(secs => %(lifetime_s)s),
             s.last_used_at + make_interval(secs => %(idle_s)s)) > now()
       and (t.token_id is null
            or (t.revoked_at is null and (t.expires_at is null or t.expires_at > now())))
       as is_good,
       s.last_used_at < now() - interval '1 minute' as is_touch_due
  from access_sessions s left join access_tokens t using (token_id)
 where session_sha256 = %(session_sha256)s;

-- name: touch_session
update access_sessions set last_used_at = now() where session_sha256 = %(session_sha256)s;

-- name: sessions
select s.*, least(s.expires_at, s.created_at + make_interval(secs => %(lifetime_s)s), t.expires_at)
       as ends_at,
       s.last_used_at + make_interval(secs => %(idle_s)s) as idle_ends_at
  from access_sessions s left join access_tokens t using (token_id)
 where (%(user)s::text is null or s.user_name = %(user)s)
   and least(s.expires_at, s.created_at + make_interval(secs => %(lifetime_s)s),
             s.last_used_at + make_interval(secs => %(idle_s)s)) > now()
   and (t.token_id is null
        or (t.revoked_at is null and (t.expires_at is null or t.expires_at > now())))
 order by s.created_at desc, s.session_id;

-- name: end_session
delete from access_sessions where session_sha256 = %(session_sha256)s;

-- name: revoke_session
delete from access_sessions
 where session_id = %(session_id)s and (%(user)s::text is null or user_name = %(user)s)
returning *, least(expires_at, created_at + make_interval(secs => %(lifetime_s)s)) as ends_at,
          last_used_at + make_interval(secs => %(idle_s)s) as idle_ends_at;

-- name: revoke_sessions_of
with links as (delete from access_links where user_name = %(user)s)
delete from access_sessions where user_name = %(user)s
returning *, least(expires_at, created_at + make_interval(secs => %(lifetime_s)s)) as ends_at,
          last_used_at + make_interval(secs => %(idle_s)s) as idle_ends_at;

-- name: delete_expired
with links as (delete from access_links where expires_at < now())
delete from access_sessions
 where least(expires_at, created_at + make_interval(secs => %(lifetime_s)s),
             last_used_at + make_interval(secs => %(idle_s)s)) < now();

-- name: add_audit_entry
insert into access_audit (user_name, token_id, action, target, status, request_id, address, details)
values (%(user)s, %(token_id)s, %(action)s, %(target)s, %(status)s, %(request_id)s, %(address)s,
        %(details)s);

-- name: audit_entries
select * from access_audit
 where audit_id < %(before)s
 order by audit_id desc
 limit %(limit)s;

-- name: notify
select pg_notify('filmgate_access', '');
