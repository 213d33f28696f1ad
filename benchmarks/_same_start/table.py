def page(records, title):
    import json
    return json.dumps(records, indent=1)
