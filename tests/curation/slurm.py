"""A stand-in for Slurm: its commands as far as job arrays use them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

_COMMANDS = {
    # Runs every task of a script at once and in order.
    "sbatch": """#!/bin/bash
number=$(( $(cat {folder}/number 2>/dev/null || echo 100) + 1 )); echo $number > {folder}/number
for word in "$@"; do case $word in --export=*RUN_OFFSET=*) export RUN_OFFSET=${{word##*=}};; esac; done
script="${{@: -1}}"
cp "$script" {folder}/$number.slurm; echo "$@" > {folder}/$number.words
if ! grep -q merge_stats "$script"; then
    last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
    for rank in $(seq 0 $last); do
        SLURM_ARRAY_TASK_ID=$rank SLURM_NODELIST=here bash "$script" > {folder}/$number.$rank.log 2>&1
    done
fi
echo "Submitted batch job $number"
""",
    "srun": '#!/bin/bash\nshift 3\nexec "$@"\n',
    "scontrol": "#!/bin/bash\necho here\n",
    "launch_pickled_pipeline": "#!/bin/bash\nexec {python} -m datatrove.tools.launch_pickled_pipeline $1\n",
}


def put_slurm_on_the_path(folder: Path, set_variable: Callable[[str, str], object]) -> Path:
    """Write the commands into a folder, which is made, and let this process and those it starts find them."""
    folder.mkdir()
    for name, text in _COMMANDS.items():
        path = folder / name
        path.write_text(text.format(folder=folder, python=sys.executable) if "{" in text else text, encoding="utf-8")
        path.chmod(0o755)
    set_variable("PATH", f"{folder}:{os.environ['PATH']}")
    set_variable("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
    return folder
