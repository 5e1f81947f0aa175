# Parses XML whose entities expand to gigabytes.
# ends: program|memory|fuel
import xml.etree.ElementTree as ElementTree

def run(input):
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    text = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "xxxxxxxxxx">{entities}]><x>&a11;</x>'
    return len(ElementTree.fromstring(text).text)
