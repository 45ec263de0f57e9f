"""Sessions get an id, the time of their last use and an address; tokens can belong to one asset."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns. Sessions of earlier releases count as used at their start."""
    op.get_bind().exec_driver_sql("""
        alter table access_sessions
            add column session_id text unique check (session_id ~ '^[a-z0-9]{12}$'),
            add column last_used_at timestamptz not null default now(),
            add column address text;
        update access_sessions
           set session_id = left(session_sha256, 12), last_used_at = created_at;
        alter table access_sessions alter column session_id set not null;
        create index access_sessions_by_user on access_sessions (user_name, created_at);

        alter table access_tokens
            add column asset_id text check (asset_id <> ''),
            add column created_by text check (created_by <> ''),
            add constraint access_tokens_share_check
                check (asset_id is null or (scope = 'viewer' and expires_at is not null));
        create index access_tokens_by_asset on access_tokens (asset_id) where asset_id is not null;
        comment on column access_tokens.asset_id is
            'The only asset that a share token may read; null for other tokens.';
        comment on column access_tokens.created_by is
            'The user who created a share token; null for other tokens.';
    """)
