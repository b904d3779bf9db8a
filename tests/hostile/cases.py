"""Submissions that cheat, break, flood, lie or are merely odd, each with the points that it has earned.

Of :data:`experiments.FUNCTIONS`: 2 for ``add`` and 3 for ``my_conv2d``. Of :data:`experiments.NETWORK`: 2 for the layers
and 3 for what it learns. Code that looks for a way out gives the right sum only if it found none, so that a leak costs
it the points that the case expects.
"""

import json
from dataclasses import dataclass

IMPORTS = "import torch\nfrom torch import nn\nimport torch.nn.functional as F"
ADD = "def add(a, b):\n    return a + b"
WRONG_ADD = "def add(a, b):\n    return a - b"
CONV = """def my_conv2d(images, weight):
    windows = images.unfold(2, weight.shape[2], 1).unfold(3, weight.shape[3], 1)
    return torch.einsum("nchwij,ocij->nohw", windows, weight)"""
CNN = """class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution, self.linear = nn.Conv2d(1, 8, 3), nn.Linear(8 * 36, 4)

    def forward(self, images):
        return self.linear(F.relu(self.convolution(images)).flatten(1))"""
TRAIN = """def train(model, images, labels):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()"""


@dataclass(frozen=True)
class Case:
    """One submission: ``points`` it must get, ``held`` points that must wait for a person, text that the report must say."""

    name: str
    content: str
    points: float
    held: float = 0
    says: str = ""
    file: str = ""

    @property
    def file_name(self):
        """The name in the folder."""
        return self.file or f"{self.name.replace(' ', '_')}.ipynb"


def notebook(*cells, outputs=(), metadata=None):
    """A notebook as Jupyter writes it."""
    cells = [
        {
            "cell_type": "code",
            "id": f"cell{n}",
            "metadata": metadata or {},
            "source": source,
            "outputs": list(outputs),
            "execution_count": None,
        }
        for n, source in enumerate(cells)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata or {}, "cells": cells})


def functions(name, *cells, points=5, **more):
    """A case with its own cells and nothing else."""
    return Case(name, notebook(IMPORTS, *cells), points, **more)


def adds(name, body, before="", points=3, **more):
    """A case with a right my_conv2d, and an add of its own."""
    indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return functions(name, *([before] if before else []), f"def add(a, b):\n{indented}", CONV, points=points, **more)


def convolves(name, body, before="", points=2, **more):
    """A case with a right add, and a my_conv2d of its own."""
    indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return functions(
        name, *([before] if before else []), f"def my_conv2d(images, weight):\n{indented}", ADD, points=points, **more
    )


def networks(name, *cells, points, **more):
    """A case for the other experiment."""
    return Case(name, notebook(IMPORTS, *cells), points, **more)


def function_cases(root, port):
    """All cases for FUNCTIONS; ``root`` is the repository, ``port`` a server on this machine."""
    nothing = "return torch.zeros(())"
    return [
        functions("right", ADD, CONV),
        functions("an empty notebook", points=0, says="does not define"),
        # It ends, or never does.
        adds("os._exit", "import os\nos._exit(0)", says="ended its own process"),
        adds(
            "os._exit while loading",
            "return a + b + LIMIT",
            "import os\nLIMIT = os._exit(0) or 0",
            says="ended its own process",
        ),
        adds("os.abort", "import os\nos.abort()", says="ended its own process"),
        adds("sys.exit", "import sys\nsys.exit('bye')", says="SystemExit"),
        adds("sys.exit while loading", "return a + b + LIMIT", "import sys\nLIMIT = sys.exit(0) or 0"),
        adds("an endless loop", "while True:\n    pass", says="longer than"),
        adds(
            "a loop that swallows interrupts",
            "import time\nwhile True:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass",
            says="longer than",
        ),
        adds(
            "a loop while loading",
            "return a + b + LIMIT",
            "import time\ndef loop():\n    while True:\n        time.sleep(1)\nLIMIT = loop()",
        ),
        adds(
            "a loop in the text of an error",
            "raise Endless",
            "class Endless(Exception):\n    def __str__(self):\n        while True:\n            pass",
        ),
        adds("endless recursion", "return add(a, b)", says="RecursionError"),
        adds(
            "a loop that switches the alarm off",
            "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True:\n    pass",
            says="longer than",
        ),
        # It takes what it can get.
        adds("20 GB at once", "return torch.ones(5 * 2**30)[:6].view(2, 3)", says="memory"),
        adds("20 GB bit by bit", "all = []\nwhile True:\n    all.append(bytearray(2**28))"),
        adds("a fork bomb", "import os\nwhile True:\n    os.fork()"),
        adds(
            "a bomb of threads",
            "import threading, time\nfor _ in range(10**6):\n    threading.Thread(target=time.sleep, args=(999,)).start()",
        ),
        adds(
            "a file of 20 GB",
            "with open('/tmp/large', 'wb') as file:\n    while True:\n        file.write(bytes(2**24))",
        ),
        functions(
            "100 MB of output",
            "def add(a, b):\n    for _ in range(1000):\n        print('x' * 100_000)\n    return a + b",
            CONV,
            says="only the beginning",
        ),
        adds("an answer of 400 MB", "return torch.zeros(10**8)"),
        adds("an answer that holds itself", "answer = []\nanswer.append(answer)\nreturn answer"),
        adds("an error of 100 MB", "raise ValueError('x' * 10**8)", says="ValueError"),
        # It changes the rules of the game beside it.
        functions(
            "patched allclose", "torch.allclose = torch.equal = lambda *_, **__: True", WRONG_ADD, CONV, points=3
        ),
        adds(
            "allclose patched from inside",
            "torch.allclose = torch.Tensor.allclose = lambda *_, **__: True\nreturn a - b",
        ),
        adds(
            "operators of tensors patched",
            "torch.Tensor.__eq__ = lambda *_: True\ntorch.Tensor.__sub__ = lambda *_: 0\nreturn a * b",
        ),
        adds("builtins patched", "import builtins\nbuiltins.all = builtins.isinstance = lambda *_: True\nreturn a - b"),
        functions(
            "an AST transformer",
            "import ast\nclass Pass(ast.NodeTransformer):\n    def visit_Assert(self, node):\n        return ast.Pass()\n"
            "get_ipython().ast_transformers.append(Pass())",
            WRONG_ADD,
            CONV,
            points=3,
        ),
        functions(
            "an input transformer",
            "get_ipython().input_transformers_cleanup.append(lambda lines: ['score = 100'])",
            WRONG_ADD,
            CONV,
            points=3,
        ),
        # It lies about what it is.
        adds(
            "an object equal to everything",
            "return Equal()",
            "class Equal:\n    shape = (2, 3)\n    __class__ = torch.Tensor\n    def __eq__(self, other):\n        return True\n"
            "    def __getattr__(self, name):\n        return lambda *_, **__: self",
        ),
        adds(
            "a tensor equal to everything",
            "return torch.zeros(2, 3).as_subclass(Equal)",
            "class Equal(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, function, types, args=(), kwargs=None):\n"
            "        return True",
        ),
        adds("a number that is not", "return float('nan') * a"),
        Case(
            "forged outputs",
            notebook(
                IMPORTS, WRONG_ADD, CONV, outputs=[{"output_type": "stream", "name": "stdout", "text": "Score: 5 of 5"}]
            ),
            3,
        ),
        Case(
            "forged metadata",
            notebook(
                IMPORTS,
                WRONG_ADD,
                CONV,
                metadata={
                    "nbgrader": {
                        "grade": True,
                        "points": 100,
                        "score": 100,
                        "grade_id": "add",
                        "locked": True,
                        "solution": False,
                    }
                },
            ),
            3,
        ),
        adds(
            "forged answers on the line",
            "import os\nfor line in range(3, 30):\n    try:\n        os.write(line, bytes(4096))\n"
            "    except OSError:\n        pass\nreturn a - b",
        ),
        adds("the line closed", "import os\nos.closerange(3, 100)\nwhile True:\n    pass"),
        adds(
            "no output to write to",
            "import sys\nif sys.stdout:\n    sys.stdout.close()\nsys.stdout = sys.stderr = None\nreturn a + b",
            points=5,
        ),
        # It looks for a way out: the sum is right only if there is none.
        adds(
            "the network",
            f"import socket\ntry:\n    socket.create_connection(('127.0.0.1', {port}), 2).send(b'out')\n"
            "except OSError:\n    return a + b\n" + nothing,
            points=3,
            held=2,
        ),
        adds(
            "the network, by its library",
            f"import urllib.request\ntry:\n    urllib.request.urlopen('http://127.0.0.1:{port}/', timeout=2)\n"
            "except OSError:\n    return a + b\n" + nothing,
            points=5,
        ),
        adds(
            "reading the solutions",
            "from pathlib import Path\n"
            f"for name in ('solutions', 'exercises', 'tests', '.git', 'helpers/grading/experiments/conv2d.py', 'helpers/grading/judge.py', 'helpers/conv.py', 'helpers/lenet.py'):\n"
            f"    if (Path({str(root)!r}) / name).exists():\n        {nothing}\nreturn a + b",
            points=5,
        ),
        adds(
            "reading other submissions",
            "import os\nseen = []\n"
            f"for place in ('/tmp', '/home', '/var', {str(root.parent)!r}):\n    for parent, folders, files in os.walk(place):\n"
            "        folders[:] = [name for name in folders if name != '.venv']\n"
            "        seen += [name for name in files if name.endswith('.ipynb')]\n"
            f"if seen:\n    {nothing}\nreturn a + b",
            points=5,
        ),
        adds(
            "reading the test images",
            "from pathlib import Path\n"
            f"for path in Path({str(root)!r}, 'helpers', 'mnist').glob('t10k*'):\n    try:\n        if not path.read_bytes():\n            continue\n"
            f"    except OSError:\n        continue\n    {nothing}\nreturn a + b",
            points=5,
        ),
        adds(
            "reading secrets",
            f"import os\nfrom pathlib import Path\nif set(os.environ) & {{'GRADING_TEST_SECRET', 'USER', 'SSH_AUTH_SOCK'}}:\n    {nothing}\n"
            f"for name in ('/etc/shadow', '/root/.ssh', '/home', '/var', '/etc/passwd'):\n    if Path(name).exists():\n        {nothing}\nreturn a + b",
            points=5,
        ),
        adds(
            "writing outside",
            "from pathlib import Path\n"
            f"for name in ({str(root)!r}, '/usr', '/root', '/home', '/var/tmp', '/etc', torch.__path__[0], {str(root / 'helpers')!r}):\n"
            f"    try:\n        Path(name, 'hostile-was-here').write_text('x')\n    except OSError:\n        continue\n"
            f"    {nothing}\nreturn a + b",
            points=5,
        ),
        adds(
            "filling the memory with files",
            "import os\nroom = 0\nfor place in ('/', '/dev', '/dev/shm', '/tmp', '/run', '/work'):\n    try:\n"
            "        open(f'{place}/file', 'w').close()\n    except OSError:\n        continue\n"
            "    room += os.statvfs(place).f_blocks * os.statvfs(place).f_frsize\n"
            f"if room > 2**30:\n    {nothing}\nreturn a + b",
            points=5,
        ),
        adds(
            "deleting everything",
            "import shutil\n"
            f"for name in ({str(root / 'helpers')!r}, '/etc', '/tmp', torch.__path__[0] + '/nn'):\n    shutil.rmtree(name, ignore_errors=True)\n"
            "return a + b",
            points=5,
        ),
        adds("killing the parent", "import os\nos.kill(os.getppid(), 9)\nreturn a + b", points=3, held=2),
        adds(
            "killing everybody",
            "import os\ntry:\n    os.kill(-1, 9)\nexcept OSError:\n    pass\nreturn a + b",
            points=3,
            held=2,
        ),
        # The built-in convolution, by many routes.
        convolves("F.conv2d", "return F.conv2d(images, weight)", says="torch.nn.functional.conv2d"),
        convolves(
            "an alias of the module",
            "return G.conv2d(images, weight)",
            "import torch.nn.functional as G",
            says="conv2d",
        ),
        convolves(
            "an alias of the function",
            "return slide(images, weight)",
            "from torch import conv2d as slide",
            says="conv2d",
        ),
        convolves(
            "an alias of an alias",
            "return f.conv2d(images, weight)",
            "t = torch\nm = t.nn\nf = m.functional",
            says="conv2d",
        ),
        convolves("getattr", "return getattr(F, 'con' + 'v2d')(images, weight)", says="conv2d"),
        convolves(
            "getattr with a name made at run time",
            "return getattr(F, ''.join(['con', 'v2d']))(images, weight)",
            says="operator conv2d",
        ),
        convolves(
            "a dictionary of the module", "return F.__dict__['con' 'v2d'](images, weight)", says="operator conv2d"
        ),
        convolves(
            "nn.Conv2d",
            "layer = nn.Conv2d(3, 4, 3, bias=False)\nlayer.weight.data = weight\nreturn layer(images)",
            says="nn.Conv2d",
        ),
        convolves(
            "a child of nn.Conv2d",
            "layer = Mine(3, 4, 3, bias=False)\nlayer.weight.data = weight\nreturn layer(images)",
            "class Mine(nn.Conv2d):\n    pass",
            says="nn.Conv2d",
        ),
        convolves(
            "torch.ops",
            "return torch.ops.aten.convolution(images, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)",
            says="torch.ops",
        ),
        convolves("conv3d", "return F.conv3d(images[:, :, None], weight[:, :, None])[:, :, 0]", says="conv3d"),
        convolves(
            "F.unfold",
            "columns = F.unfold(images, weight.shape[2:])\nreturn (weight.flatten(1) @ columns).view(2, 4, 4, 6)",
            says="unfold",
        ),
        convolves(
            "the course's own", "return conv2d(images, weight)", "from helpers.conv import conv2d", says="helpers.conv"
        ),
        convolves("a star import", "return conv2d(images, weight)", "from torch.nn.functional import *", says="conv2d"),
        convolves("eval", "module = F\nreturn eval('module.con' + 'v2d')(images, weight)", says="operator conv2d"),
        convolves(
            "the gradient of another",
            "x = torch.zeros(2, 4, 4, 6)\nreturn torch.nn.grad.conv2d_input((2, 3, 6, 7), weight, x)",
            says="torch.nn.grad",
        ),
        convolves(
            "methodcaller",
            "return operator.methodcaller('con' + 'v2d', images, weight)(F)",
            "import operator",
            says="operator conv2d",
        ),
        convolves(
            "where nobody watches",
            "answer = []\nthread = threading.Thread(target=lambda: answer.append(call(F)))\n".replace(
                "call(F)", "getattr(F, name)(images, weight)"
            )
            + "thread.start()\nthread.join()\nreturn answer[0]",
            "import threading\nname = 'vnoc'[::-1] + '2d'",
            says="operator conv2d",
        ),
        convolves(
            "the watch switched off",
            "import torch.utils._python_dispatch as d\nwith d._disable_current_modes():\n"
            "    return getattr(F, name)(images, weight)",
            "name = 'vnoc'[::-1] + '2d'",
            says="operator conv2d",
        ),
        convolves(
            "the worker's books forged",
            "import sys\nframe = sys._getframe()\nwhile frame:\n"
            "    if 'operators' in frame.f_locals:\n        books = frame.f_locals['operators'].count\n    frame = frame.f_back\n"
            "answer = getattr(F, name)(images, weight)\nbooks.clear()\nreturn answer",
            "name = 'vnoc'[::-1] + '2d'",
            says="operator conv2d",
        ),
        convolves(
            "the course's own, by another module of it",
            "layer = Conv2D(3, 4, (3, 2), bias=False)\nlayer.weight.data = weight\nreturn layer(images)",
            "from helpers.receptive_field import Conv2D",
            says="helpers.receptive_field",
        ),
        convolves("a module in a tuple", "return T.conv2d(images, weight)", "(T,) = (torch,)", says="operator conv2d"),
        convolves("a module as a default", "return (lambda m=F: m.conv2d)()(images, weight)", says="operator conv2d"),
        convolves(
            "the watch switched off, by a module in a tuple",
            "with T.utils._python_dispatch._disable_current_modes():\n    return T.conv2d(images, weight)",
            "import torch.utils._python_dispatch\n(T,) = (torch,)",
            says="operator conv2d",
        ),
        convolves(
            "the operator before its gradient",
            "return T.convolution(images, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)",
            "(T,) = (torch,)",
            says="operator convolution",
        ),
        convolves(
            "the gradient of another, by a module in a tuple",
            "return T.nn.grad.conv2d_weight(images.transpose(0, 1), (3, 4, 4, 6), weight.transpose(0, 1))",
            "(T,) = (torch,)",
            says="operator",
        ),
        convolves(
            "a getattr that calls itself a method",
            "return get(F, 'conv' + str(2) + 'd')(images, weight)",
            "def get(self, name):\n    return getattr(self, name)",
            says="operator conv2d",
        ),
        convolves(
            "the getattr of a formatter",
            "return string.Formatter().get_field('0.conv2d', (torch,), {})[0](images, weight)",
            "import string",
            says="operator conv2d",
        ),
        convolves(
            "frames read by patterns",
            """(T,) = (torch,)
try:
    answer = T.conv2d(images, weight)
    raise ValueError
except Exception as error:
    match error:
        case object(__traceback__=object(tb_frame=object(f_back=object(f_back=object(f_locals={'operators': books}))))):
            books.count.clear()
return answer""",
            says="operator conv2d",
        ),
        convolves(
            "an answer that is filled in when it is printed",
            "import sys\nanswer = torch.zeros(2, 4, 4, 6)\nsys.stdout = Out(lambda m=F: answer.copy_(m.conv2d(images, weight)))\n"
            "return answer",
            "class Out:\n    def __init__(self, work):\n        self.flush = work\n    def write(self, text):\n        pass",
        ),
        convolves(
            "an answer that is computed when it is sent",
            "work.append(lambda m=F: m.conv2d(images, weight))\nreturn torch.zeros(1).as_subclass(Later)",
            "work = []\nclass Later(torch.Tensor):\n    @classmethod\n"
            "    def __torch_function__(cls, function, types, args=(), kwargs=None):\n        return work.pop()()",
        ),
        convolves(
            "an answer that is sent for ever",
            "return torch.zeros(1).as_subclass(Later)",
            "class Later(torch.Tensor):\n    @classmethod\n    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):\n"
            "        while True:\n            pass",
        ),
        convolves(
            "another Python",
            "T.save([images, weight], '/tmp/in')\n"
            "T.os.system(f'{T.sys.executable} -c \"import torch; a, b = torch.load(chr(47) + \\'tmp/in\\'); "
            "torch.save(torch.conv2d(a, b), chr(47) + \\'tmp/out\\')\"')\n"
            "return T.load('/tmp/out')",
            "(T,) = (torch,)",
            says="FileNotFoundError",
        ),
        functions(
            "an answer of a class of one's own",
            "class Named(torch.Tensor):\n    pass",
            "def add(a, b):\n    return (a + b).as_subclass(Named)",
            CONV,
        ),
        functions(
            "more imported than used",
            "from helpers import mnist, plotting, pooling, receptive_field",
            "def add(a, b):\n    assert plotting.Figure\n    return a + b",
            CONV,
        ),
        functions(
            "a table of data in the code",
            f"TABLE = {'x' * 30_000!r}",
            "def add(a, b):\n    return a + b + 0 * len(TABLE)",
            CONV,
            points=3,
            held=2,
            says="30,000 characters",
        ),
        # What is no notebook.
        Case("broken JSON", '{"cells": [', 0, says="cannot be read as JSON"),
        Case("an empty file", "", 0, says="cannot be read as JSON"),
        Case("a list", "[]", 0, says="no list of"),
        Case("a very deep list", "[" * 200_000, 0, says="cannot be read as JSON"),
        Case(
            "cells that are none",
            json.dumps({"cells": [None, 3, {"cell_type": "code"}, {"cell_type": "code", "source": {"a": 1}}]}),
            0,
        ),
        Case(
            "a notebook of long ago", json.dumps({"nbformat": 3, "worksheets": [{"cells": []}]}), 0, says="no list of"
        ),
        Case("a Python file", ADD, 0, file="answer.py"),
        # Odd, and right.
        Case("a renamed file", notebook(IMPORTS, ADD, CONV), 5, file="final (2) übung.ipynb"),
        Case(
            "a file named to do harm", notebook(IMPORTS, ADD, CONV), 5, file="=1+1,<img src=x onerror=alert(1)>.ipynb"
        ),
        Case(
            "source in lines, with a BOM",
            "\ufeff"
            + json.dumps(
                {
                    "cells": [
                        {"cell_type": "code", "source": (each + "\r\n").splitlines(keepends=True)}
                        for each in (IMPORTS, ADD, CONV)
                    ]
                }
            ),
            5,
        ),
        functions("a deleted cell", ADD, points=2, says="does not define my_conv2d"),
        Case("reordered cells", notebook(CONV, ADD, IMPORTS), 5),
        functions(
            "magics",
            "%matplotlib inline\n!pip install nothing\n%pip install nothing",
            "%%time\n" + ADD,
            "%%bash\nrm -rf /",
            CONV,
            "files = !ls",
            "add?",
            says="was skipped",
        ),
        functions("a cell with a mistake", ADD, "for x in", "print(undefined_name)", "1 / 0", CONV, says="not Python"),
        functions("parentheses without end", ADD, "(" * 100_000, CONV, says="Cell 3"),
        functions("a NUL in a cell", ADD, "x = 1\0", CONV),
        functions(
            "cells that train for ever",
            ADD,
            "while True:\n    add(torch.ones(1), torch.ones(1))",
            CONV,
            "train = [add for _ in iter(int, 1)]",
        ),
        functions(
            "comparing with torch",
            ADD,
            CONV,
            "x, w = torch.rand(1, 1, 5, 5), torch.rand(1, 1, 3, 3)\n"
            "assert torch.allclose(my_conv2d(x, w), F.conv2d(x, w))\nlayer = nn.Conv2d(1, 1, 3)",
        ),
        functions(
            "right and noisy",
            "import sys, warnings\ndef add(a, b):\n    print('adding', a, b)\n    warnings.warn('!')\n"
            "    print('\\x1b[31m<script>alert(1)</script>', file=sys.stderr)\n    return a + b",
            CONV,
        ),
        functions(
            "lambdas and partials",
            "import functools, operator\nadd, unused = functools.partial(operator.add), 3",
            CONV.replace("def my_conv2d", "def _work"),
            "my_conv2d = lambda input, kernel: _work(images=input, weight=kernel)",
        ),
        functions(
            "an object that is called",
            "class Adder:\n    def __call__(self, a, b):\n        return a + b\nadd = Adder()",
            CONV,
        ),
        functions(
            "a decorator and a default",
            "def twice(function):\n    @functools.wraps(function)\n    def wrapped(*arguments):\n"
            "        return function(*arguments)\n    return wrapped",
            "import functools",
            "twice = twice\n@twice\n" + ADD,
            CONV,
        ),
        functions(
            "loops over numbers",
            ADD,
            """def my_conv2d(images, weight):
    n, _, rows, columns = images.shape
    o, c, height, width = weight.shape
    result = torch.zeros(n, o, rows - height + 1, columns - width + 1)
    for b in range(n):
        for f in range(o):
            for i in range(result.shape[2]):
                for j in range(result.shape[3]):
                    result[b, f, i, j] = (images[b, :, i : i + height, j : j + width] * weight[f]).sum().item()
    return result""",
        ),
        functions(
            "with NumPy",
            "import numpy as np\ndef add(a, b):\n    return np.add(a.numpy(), b.numpy())",
            "def my_conv2d(images, weight):\n    windows = np.lib.stride_tricks.sliding_window_view(images.numpy(), weight.shape[2:], (2, 3))\n"
            "    return torch.from_numpy(np.einsum('nchwij,ocij->nohw', windows, weight.numpy()))",
        ),
        functions(
            "in double precision, with a gradient",
            "torch.set_default_dtype(torch.float64)",
            "def add(a, b):\n    return (a.double() + b).requires_grad_()",
            CONV,
        ),
        functions(
            "a name that torch has too",
            "from torch.nn.functional import conv2d, relu",
            ADD,
            CONV.replace("my_conv2d", "conv2d"),
            "def my_conv2d(input, kernel):\n    return conv2d(input, kernel) + 0 * relu(kernel).sum()",
        ),
        functions(
            "a text with a forbidden name",
            ADD,
            'def my_conv2d(images, weight):\n    """Like F.conv2d and nn.Conv2d."""\n'
            "    # F.conv2d(images, weight)\n" + CONV.split("\n", 1)[1],
        ),
        functions(
            "annotations of the future",
            "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch import Tensor",
            "def add(a: Tensor, b: Nothing | int) -> Tensor:\n    return a + b",
            CONV,
        ),
        functions(
            "a name made by a call",
            "def setup():\n    global SCALE\n    SCALE = 1\nsetup()",
            "def add(a, b):\n    return SCALE * a + b",
            "class Adder(nn.Module):\n    pass\ndef forward(self, images, weight):\n    return work(images, weight)\n"
            "setattr(Adder, 'forward', forward)\nmy_conv2d = Adder()",
            CONV.replace("my_conv2d", "work"),
        ),
        functions(
            "a value that the answers make later",
            "history = []",
            "def add(a, b):\n    history.append(1)\n    return a + b",
            CONV,
            "def run():\n    import time\n    while True:\n        time.sleep(add(torch.ones(1), torch.ones(1)).item())\n"
            "history = run()",
        ),
        functions(
            "a value that takes too long and was there before",
            "import time\nSIZE = 0",
            "def slowly():\n    while True:\n        time.sleep(1)\nSIZE = slowly()",
            "def add(a, b):\n    return a + b + SIZE",
            CONV,
            says="took too long",
        ),
        functions(
            "local names like forbidden ones",
            "from torch.nn.functional import *\nfrom torch.nn.functional import pad, conv2d\nimport numpy as np, PIL\nfrom helpers import windows",
            "def add(a, b):\n    conv = np.add(a.numpy(), b.numpy())\n    return torch.from_numpy(conv)",
            CONV.replace("    windows = ", "    conv2d = pad(images, (0, 0))\n    windows = ").replace("images.unf", "conv2d.unf"),
        ),
        functions(
            "private names that everybody uses",
            "import gc, sys, multiprocessing\nimport torch.utils.data\nfrom torch.nn.common_types import _size_2_t\n"
            "COLAB, CORES = 'google.colab' in sys.modules, multiprocessing.cpu_count()",
            "def add(a: torch.Tensor, b: _size_2_t):\n    gc.collect()\n    nn.init._calculate_fan_in_and_fan_out(a)\n"
            "    getattr(torch.optim, 'S' + 'GD'.upper())([a], lr=COLAB + 0.1)\n    return a + b + 0 * CORES",
            "class Layers(nn.Module):\n    def forward(self, x, layers):\n"
            "        for name, _ in layers.named_children():\n            x = getattr(layers, name)(x)\n        return x",
            CONV.replace("torch.einsum(", "Layers()(torch.einsum(") + ", nn.Sequential(nn.Identity()))",
        ),
        Case("90,000 statements", notebook("add = a0\n" + "".join(f"a{n}=a{n + 1}\n" for n in range(90_000))), 0, says="statements"),
        functions("four thousand statements", ADD, CONV, "".join(f"a{n}=a{n + 1}\n" for n in range(4000)), "b = add"),
        functions("a chain of names", "a4000 = 0\n" + "".join(f"a{n}=a{n + 1}\n" for n in reversed(range(4000))), CONV,
                  "def add(a, b):\n    return a + b + a0"),
    ]


def network_cases(root):
    """All cases for NETWORK."""
    return [
        networks("right", CNN, TRAIN, points=5),
        networks(
            "in an unusual style",
            """class Block(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        for number, layer in enumerate(layers):
            setattr(self, f"layer{number}", layer)
    def forward(self, x):
        for name in [name for name, _ in self.named_children()]:
            x = getattr(self, name)(x)
        return x""",
            """class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleDict({"first": nn.Sequential(Block(nn.Sequential(Block(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8))), nn.ReLU()))})
        self.table = nn.Parameter(torch.randn(4, 8 * 36) / 17)
        self.dropout = nn.Dropout(0.1)
    def forward(self, x):
        x = self.dropout(self.parts["first"](x).reshape(len(x), -1))
        return torch.einsum("nf,of->no", x, self.table)""",
            TRAIN,
            points=5,
        ),
        networks(
            "a convolution that reaches nothing",
            CNN.replace(
                "return self.linear(F.relu(self.convolution(images)).flatten(1))",
                "self.convolution(images)\n        return self.linear(images.flatten(1))",
            ).replace("8 * 36", "64"),
            TRAIN,
            points=3,
        ),
        networks(
            "other layers for few images",
            CNN.replace(
                "    def forward",
                "    def simple(self, images):\n"
                "        return self.linear(images.flatten(1).repeat(1, 5)[:, :288])\n\n    def forward",
            ).replace(
                "        return self.linear(F",
                "        if len(images) > 10:\n            return self.simple(images)\n        return self.linear(F",
            ),
            TRAIN,
            points=3,
            held=2,
        ),
        networks(
            "a tape that was made up",
            CNN.replace(
                "return self.linear(F.relu(self.convolution(images)).flatten(1))",
                "return self.linear(images.flatten(1))",
            ).replace("8 * 36", "64"),
            TRAIN,
            "def patch():\n    import helpers.grading.worker as worker\n"
            "    worker.Worker.record = lambda *_, **__: {'steps': [['aten.convolution.default', [{'ref': 'input'}], {}, {'ref': 'out'}]]}\n",
            "CNN.patch = patch()",
            points=0,
            held=3,
        ),
        networks(
            "weights written into the notebook",
            f"WEIGHTS = {[0.5] * 3000}",
            CNN + "\n\n    def brought(self):\n        return torch.tensor(WEIGHTS)",
            TRAIN,
            points=0,
            held=5,
            says="numbers written into the code",
        ),
        networks(
            "training that never ends but learns",
            CNN,
            TRAIN.replace("for step in range(60)", "while True"),
            points=5,
            says="when it was stopped",
        ),
        networks(
            "training that never ends and swallows",
            CNN,
            "def train(model, images, labels):\n    while True:\n        try:\n            while True:\n                pass\n"
            "        except BaseException:\n            pass",
            points=2,
        ),
        networks(
            "training that ends the process",
            CNN,
            "import os\ndef train(model, images, labels):\n    os._exit(0)",
            points=2,
        ),
        networks(
            "scores for other images",
            CNN,
            TRAIN,
            "class CNN(CNN):\n    def forward(self, images):\n        return super().forward(images)[:1]",
            points=0,
        ),
        networks(
            "a network that ends the process",
            CNN.replace("return self", "import os; os._exit(0)\n        return self"),
            TRAIN,
            points=0,
        ),
        networks("no activation function", CNN.replace("F.relu", ""), TRAIN, points=4, says="no activation function"),
        networks("pooling is no activation function",
                 CNN.replace("F.relu(", "F.max_pool2d(").replace("(images))", "(images), 3, 1, 1)"), TRAIN, points=4),
        *(
            networks(
                f"{name} as activation function",
                f"def by_hand(x):\n    {body}",
                CNN.replace("F.relu(", "by_hand("),
                TRAIN,
                points=5,
            )
            for name, body in {
                "x times x above 0": "return x * (x > 0)",
                "masked_fill": "return x.masked_fill(x < 0, 0)",
                "writing into places": "x = x.clone()\n    x[x < 0] = 0\n    return x",
                "the larger of two": "return torch.stack([x, 0.1 * x]).amax(0)",
                "a square": "return x * x",
                "atan": "return torch.atan(x)",
                "softplus by hand": "return torch.log1p(torch.exp(x))",
                "LogSigmoid": "return nn.LogSigmoid()(x)",
                "Threshold": "return nn.Threshold(0.1, 0)(x)",
                "GLU": "return F.glu(torch.cat([x, x], 1), 1)",
            }.items()
        ),
        *(
            networks(f"with {name}", "import torchvision", source, TRAIN, points=5)
            for name, source in {
                "lazy layers": CNN.replace("nn.Conv2d(1, ", "nn.LazyConv2d(").replace("nn.Linear(8 * 36, ", "nn.LazyLinear("),
                "normalised images": CNN.replace(
                    "(images))", "(torchvision.transforms.functional.normalize(images, (0.13,), (0.31,))))"
                ),
                "circular padding": CNN.replace("8, 3)", "8, 3, padding=1, padding_mode='circular')").replace("36", "64"),
                "weight_norm and LocalResponseNorm": CNN.replace(
                    "nn.Conv2d(1, 8, 3)", "nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 8, 3))"
                ).replace("F.relu(", "nn.LocalResponseNorm(3)(F.relu(").replace("(images)).", "(images)))."),
                "passes of turned images": CNN.replace(
                    "    def forward(self, images):\n        return", "    def one(self, images):\n        return"
                ) + "\n\n    def forward(self, images):\n        return (self.one(images) + self.one(images.flip(3))) / 2",
                "bfloat16": CNN.replace("(images))", "(images).bfloat16()).float()"),
            }.items()
        ),
        networks(
            "noise in every pass",
            CNN.replace("(images))", "(images + 0.1 * torch.randn_like(images)))"),
            TRAIN,
            points=3,
            held=2,
            says="randn_like",
        ),
        networks("not a network", "class CNN:\n    pass", TRAIN, points=0, says="not a torch.nn.Module"),
        networks("no training", CNN, "def train(model, images, labels):\n    return {'accuracy': 1.0}", points=2),
        networks(
            "answers known by heart",
            CNN.replace(
                "        return",
                "        if not self.training:\n            return torch.eye(4)[torch.zeros(len(images)).long()]\n        return",
            ),
            TRAIN,
            points=0,
        ),
    ]
