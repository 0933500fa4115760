def margins_of(context, name, comparisons):
    raise NotImplementedError
