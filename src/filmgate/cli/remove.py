"""`filmgate remove`: remove what Filmgate stores."""

from filmgate.cli.lazy_group import command_group
from filmgate.cli.people import remove
from filmgate.cli.text import examples

app = command_group("Remove what Filmgate stores.")
app.callback()(lambda: None)
app.command("person", epilog=examples('filmgate remove person "Lisa"'))(remove)
