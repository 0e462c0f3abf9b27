"""The pure core: values in, values out; nothing here opens, prints, waits or draws lots."""
