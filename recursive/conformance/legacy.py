"""placeholder"""
def cases_of_2015():
    return []
