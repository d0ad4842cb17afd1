from tests.commands_once import make_commands_once

make_commands_once()
