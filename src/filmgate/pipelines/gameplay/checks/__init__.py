"""The built-in checks: functions of a session with a typed result, discovered in this package."""
