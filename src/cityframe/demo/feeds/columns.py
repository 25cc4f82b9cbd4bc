"""What the sources call the attributes and their values; ``sources/*.yaml`` say the same."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Feed:
    """One table that a source delivers.

    Attributes
    ----------
    columns : mapping of str to str
        Name in the source of each attribute, in the order of the table.
    words : mapping of str to mapping
        The source's word for each code of an attribute.
    """

    table: str
    layer: str
    columns: dict[str, str]
    words: dict[str, dict[str, str]] = field(default_factory=dict)


FIELD_NOTES = {"调查员": "王工", "备注": ""}
"""Columns of the building survey that nobody asked for, and what stands in them."""

USE_WORDS = {
    "11": "成套住宅", "12": "非成套住宅", "21": "工业", "27": "仓储", "31": "商业服务",
    "34": "金融保险", "41": "教育", "42": "医疗卫生", "43": "科研", "54": "园林绿化",
    "55": "体育", "61": "办公",
}  # fmt: skip
LAND_USE_WORDS = {
    "0501": "零售商业用地", "0505": "商务金融用地", "0507": "其他商服用地", "0601": "工业用地",
    "0701": "城镇住宅用地", "0702": "农村宅基地", "0803": "教育用地", "0805": "医疗卫生用地",
    "0810": "公园与绿地", "1004": "城镇村道路用地",
}  # fmt: skip
STRUCTURE_WORDS = {
    "1": "钢", "2": "钢和钢筋混凝土", "3": "钢筋混凝土", "4": "混合", "5": "砖木",
}  # fmt: skip
POI_WORDS = {
    "catering": "餐饮", "retail": "购物", "services": "生活服务", "finance": "金融",
    "education": "教育", "medical": "医疗", "hotel": "住宿", "government": "政府机构",
    "recreation": "休闲",
}  # fmt: skip
SENSOR_WORDS = {
    "water-pressure": "供水压力", "water-flow": "供水流量", "sewer-level": "污水液位",
    "traffic-count": "交通流量", "air-quality": "空气质量",
}  # fmt: skip

BASE_SURVEY = (
    Feed(
        "JZW", "buildings",
        {
            "building_id": "楼栋编码", "parcel_id": "宗地代码", "name": "名称", "use": "用途",
            "floors": "层数", "height_m": "高度", "built_on": "建成日期",
        },
        {"use": USE_WORDS},
    ),
    Feed(
        "ZD", "parcels",
        {
            "parcel_id": "宗地代码", "land_use": "土地用途", "tenure": "权属性质",
            "registered_area_m2": "登记面积", "registered_on": "登记日期",
            "expires_on": "终止日期",
        },
        {"land_use": LAND_USE_WORDS, "tenure": {"state": "国有", "collective": "集体"}},
    ),
    Feed(
        "DL", "roads",
        {
            "road_id": "道路编码", "name": "道路名称", "road_class": "道路等级",
            "lanes": "车道数", "width_m": "路宽", "surface": "路面",
        },
        {
            "road_class": {"arterial": "主干路", "secondary": "次干路", "local": "支路"},
            "surface": {"asphalt": "沥青", "concrete": "水泥"},
        },
    ),
)  # fmt: skip

NETWORK_SURVEY = (
    Feed(
        "JS_POINT", "water_nodes",
        {
            "node_id": "WTDH", "node_type": "TZ", "hydrant_number": "XFSBH", "ground_m": "DMGC",
            "depth_m": "MS", "installed_on": "MSRQ",
        },
        {"node_type": {"junction": "三通", "valve": "阀门", "hydrant": "消防栓"}},
    ),
    Feed(
        "JS_LINE", "water_pipes",
        {
            "pipe_id": "GXBH", "from_node": "QDDH", "to_node": "ZDDH", "diameter_mm": "GJ",
            "material": "CZ", "depth_start_m": "QDMS", "depth_end_m": "ZDMS",
            "installed_on": "MSRQ",
        },
        {"material": {"ductile-iron": "球墨铸铁", "pe": "PE", "steel": "钢"}},
    ),
    Feed(
        "WS_POINT", "sewer_nodes",
        {
            "node_id": "WTDH", "node_type": "TZ", "ground_m": "DMGC", "invert_m": "GDGC",
            "installed_on": "MSRQ",
        },
        {"node_type": {"manhole": "检查井", "connection": "接户井"}},
    ),
    Feed(
        "WS_LINE", "sewer_pipes",
        {
            "pipe_id": "GXBH", "from_node": "QDDH", "to_node": "ZDDH", "diameter_mm": "GJ",
            "material": "CZ", "invert_start_m": "QDGC", "invert_end_m": "ZDGC",
            "installed_on": "MSRQ",
        },
        {"material": {"concrete": "混凝土", "hdpe": "HDPE"}},
    ),
)  # fmt: skip

BOUNDARIES = Feed(
    "XZQ", "boundaries",
    {
        "code": "XZQDM", "name": "XZQMC", "level": "JB", "parent_code": "SJDM",
        "population": "RK",
    },
    {"level": {"city": "市", "district": "区", "street": "街道"}},
)  # fmt: skip

ADDRESSES = Feed(
    "address", "addresses",
    {
        "address_id": "id", "full_address": "full_text", "district_code": "district",
        "road_name": "road", "house_number": "house_no", "building_number": "building_no",
        "unit_number": "unit_no", "status": "state",
    },
)  # fmt: skip

POIS = Feed(
    "pois", "pois",
    {
        "poi_id": "编号", "name": "名称", "category": "类别", "address": "地址", "phone": "电话",
        "opened_on": "开业日期",
    },
    {"category": POI_WORDS},
)  # fmt: skip

HOUSING = Feed(
    "housing", "buildings",
    {
        "building_id": "楼栋编码", "structure": "结构", "households": "户数",
        "safety_grade": "安全等级",
    },
    {"structure": STRUCTURE_WORDS},
)  # fmt: skip

SENSORS = Feed(
    "传感器", "sensors",
    {
        "sensor_id": "设备编号", "sensor_type": "类型", "status": "状态", "stream": "数据流",
        "installed_on": "安装日期", "calibrated_on": "校准日期",
    },
    {
        "sensor_type": SENSOR_WORDS,
        "status": {"active": "在用", "maintenance": "检修"},
    },
)  # fmt: skip
