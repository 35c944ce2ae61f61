"""doc"""

Size = 5 * 1024**2
Name: str = "a" + "b"
Flag = True
Other = -Size // 2
