"""Validates the syntax of Rally tasks, in Rally's own environment.

python rally_syntax.py FOLDER [PLUGIN…]

FOLDER holds ``tasks.json``, name → rendered task; prints the name of each valid one.
"""

import json
import sys
from pathlib import Path

import yaml
from rally import api, plugins
from rally.common.plugin import discover
from rally.task import engine, task_cfg

folder = Path(sys.argv[1])
config = folder / "rally.conf"
config.write_text(f"[database]\nconnection = sqlite:///{folder}/rally.db\n")
api.API(config_file=str(config), skip_db_check=True)
plugins.load()
for path in sys.argv[2:]:
    discover.load_plugins(path)
for name, task in json.loads((folder / "tasks.json").read_text()).items():
    parsed = task_cfg.TaskConfig(yaml.safe_load(task))
    engine.TaskEngine(parsed, {"uuid": name}, None)._validate_config_syntax(parsed)
    print(name)  # noqa: T201 - the protocol
