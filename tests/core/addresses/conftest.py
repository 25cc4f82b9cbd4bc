import os
from pathlib import Path

import pandas as pd
import pytest

from cityframe.core.addresses import AdminCodes

OLDER = """
11 北京市
110101 东城区
110105 朝阳区
110105026 望京街道
15 内蒙古自治区
1501 呼和浩特市
150102 新城区
22 吉林省
2201 长春市
220104 朝阳区
2202 吉林市
220202 昌邑区
22 吉林省
2224 延边朝鲜族自治州
222401 延吉市
31 上海市
310115 浦东新区
310115004 陆家嘴街道
32 江苏省
3203 徐州市
320323 铜山县
320302 鼓楼区
3205 苏州市
320506 吴中区
3201 南京市
320106 鼓楼区
33 浙江省
3301 杭州市
330104 江干区
330185 临安市
44 广东省
441900 东莞市
441900101 石碣镇
45 广西壮族自治区
4501 南宁市
450103 青秀区
"""
GONE = ("320323", "330185", "330104")
NEW = "320312 铜山区\n330112 临安区\n330113 临平区\n330114 钱塘区"


def table(text: str, column: str = "code") -> pd.DataFrame:
    rows = [line.split() for line in text.strip().splitlines()]
    return pd.DataFrame(rows, columns=[column, "name"])


@pytest.fixture(scope="session")
def codes() -> AdminCodes:
    older = table(OLDER)
    newer = pd.concat([older[~older["code"].isin(GONE)], table(NEW)])
    return AdminCodes.of_editions([older, newer])


@pytest.fixture(scope="session")
def real_tables() -> Path:
    root = Path(__file__).parents[3]
    path = Path(os.environ.get("CITYFRAME_DATA", root.parent / "shared" / "data")) / "tables"
    if not path.is_dir():
        pytest.skip(f"no real data in {path}; set CITYFRAME_DATA")
    return path
