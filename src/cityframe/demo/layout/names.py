"""Names of an invented city; real Chinese cities use most of them for their streets too."""

CITY_NAME = "云川市"
CITY_CODE = "421500"
"""Follows GB/T 2260 in form; no real city has it."""

DISTRICT_NAMES = (
    "江北区", "云台区", "望湖区", "金沙区", "石桥区", "临港区", "南麓区", "青溪区", "白塔区",
)  # fmt: skip

STREET_NAMES = (
    "中山", "解放", "和平", "新华", "建设", "胜利", "长征", "文昌", "鼓楼", "钟楼", "西门", "东门",
    "北关", "南关", "荷花", "桂园", "梅林", "松林", "柳堤", "沙河", "清河", "龙泉", "凤凰", "白云",
    "翠屏", "花山", "狮子山", "大桥", "渡口", "码头", "车站", "机场", "高新", "科技园", "大学城",
    "丰收", "朝阳", "向阳", "光明", "团结",
)  # fmt: skip

ROAD_NAMES = (
    "人民", "解放", "中山", "建设", "和平", "胜利", "新华", "友谊", "团结", "长江", "黄河", "珠江",
    "北京", "上海", "南京", "武汉", "广州", "天津", "西安", "成都", "文化", "科技", "学府", "体育",
    "迎宾", "站前", "滨湖", "沿河", "环城", "东风", "红旗", "朝阳", "向阳", "光明", "幸福", "健康",
    "民主", "民生", "复兴", "振兴", "兴业", "创业", "工业", "商业", "金融", "丰收", "青年", "劳动",
    "五一", "八一", "十月", "公园", "花园", "桃园", "桂花", "梧桐", "银杏", "香樟", "玉兰", "紫薇",
    "芙蓉", "荷塘", "柳荫", "松柏", "竹林", "龙泉", "凤凰", "麒麟", "白鹤", "金鸡", "石榴", "文昌",
    "状元", "书院", "钟鼓", "城隍", "东湖", "西湖", "南湖", "北湖",
)  # fmt: skip

ORDINALS = ("", "二", "三", "四", "五", "六", "七", "八", "九", "十")

ESTATE_NAMES = (
    "阳光", "翠湖", "锦绣", "金色", "幸福", "东方", "世纪", "明珠", "桃源", "龙湖", "书香", "枫林",
    "蓝天", "碧水", "水岸", "绿地", "名都", "丽景", "御景", "天悦", "和谐", "滨江", "云锦", "紫荆",
)  # fmt: skip
ESTATE_KINDS = ("花园", "小区", "家园", "新村", "公馆", "苑", "里", "华庭")

POI_BRANDS = (
    "云川", "老街", "好味", "福满", "鑫源", "顺达", "百姓", "金桥", "小城", "四季", "华联", "民生",
    "康宁", "新世纪", "星辰", "宏图", "利民", "东升", "万家", "一品",
)  # fmt: skip

POI_KINDS: dict[str, tuple[str, ...]] = {
    "catering": ("餐馆", "面馆", "小吃店", "茶楼", "火锅店"),
    "retail": ("超市", "便利店", "百货", "五金店", "药房"),
    "services": ("理发店", "洗衣店", "照相馆", "快递站", "维修部"),
    "finance": ("银行支行", "储蓄所", "信用社"),
    "education": ("幼儿园", "培训中心", "书店"),
    "medical": ("诊所", "社区卫生服务站", "口腔门诊"),
    "hotel": ("宾馆", "招待所", "酒店"),
    "government": ("社区居委会", "派出所", "办事处"),
    "recreation": ("网吧", "健身馆", "影院"),
}

NUMERALS = "零一二三四五六七八九"


def road_stem(line: int) -> str:
    """Return the stem of a street's name; no two lines of a city have the same."""
    turn, place = divmod(line, len(ROAD_NAMES))
    ordinal = ORDINALS[turn] if turn < len(ORDINALS) else chinese_number(turn + 1)
    return ROAD_NAMES[place] + ordinal


def chinese_number(number: int) -> str:
    """Return a number digit by digit in Chinese numerals."""
    return "".join(NUMERALS[int(digit)] for digit in str(number))
