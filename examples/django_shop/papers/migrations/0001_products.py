"""The table of products, and the first four."""

from django.db import migrations, models

FIRST = (
    ("ruled", "Ruled notebook", "Twenty-four lines a page and a red margin to think in.", 650),
    ("grid", "Graph pad", "Squares of five millimetres, for plans and plots.", 480),
    ("dotted", "Dotted sketchbook", "Dots that keep you straight and then disappear.", 990),
    ("airmail", "Airmail envelopes", "Ten light envelopes for letters that go far.", 320),
)


def add_first(apps, _):  # noqa: ANN001, ANN201  # as Django calls it
    """Add the products that the shop opens with."""
    product = apps.get_model("papers", "Product")
    for key, name, about, cents in FIRST:
        product.objects.create(key=key, name=name, about=about, cents=cents)


class Migration(migrations.Migration):
    """Make the table."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Product",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.SlugField(unique=True)),
                ("name", models.CharField(max_length=60)),
                ("about", models.CharField(max_length=200)),
                ("cents", models.PositiveIntegerField()),
            ],
            options={"ordering": ("pk",)},
        ),
        migrations.RunPython(add_first, migrations.RunPython.noop),
    )
